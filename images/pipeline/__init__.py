"""From a recipe to a validated image: keys, preparation, Packer, validation; one build of an image at a time."""
