"""Judges of drafts: any callable from a ``Draft`` to a verdict. No base class, no registry."""
