"""What ``TransformersBackend`` is made of: loading, the batch, one row of it, sampling, the cap."""
