"""Problems that the embedded weights were trained on, and the part of them that was held out."""
