"""What is in a wheel, without a judgement: read, compared, and what it costs by library and architecture."""
