"""The catalogue of built images: records, packages, promotions, and signatures."""
