"""reflectkit: make a chat model's reflection visible, checked, bounded and measured."""
