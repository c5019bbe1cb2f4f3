"""What was compiled elsewhere: entries of a bucket, signed by who made them."""
