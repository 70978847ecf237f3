"""What is known of the images that were made: records, packages, promotions, and who vouches for them."""
