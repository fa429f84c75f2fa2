"""What only AWS itself has: roles, buckets, images, quotas, prices, and resources that cost money."""
