"""From a recipe to an image that is proven: keys, preparation, Packer, validation, one build at a time for an image."""
