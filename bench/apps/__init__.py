"""The applications that are served while `bench` measures. Both answer the same paths alike."""
