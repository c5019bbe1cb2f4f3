"""What a wheel needs and does not bring: put into it by auditwheel, or shown to come with what it requires."""
