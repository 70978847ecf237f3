"""What tests of single parts on the real ones share."""

from tests.support.image_checkout import image_checkout

__all__ = ["image_checkout"]
