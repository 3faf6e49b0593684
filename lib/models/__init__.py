"""Networks whose input is pixels in [0, 1] and which expose every ReLU by name."""

from lib.models.activations import evaluated, relu_layers, spatial_means, to_unit
from lib.models.registry import MODELS, build, image_side

__all__ = ["MODELS", "build", "evaluated", "image_side", "relu_layers", "spatial_means", "to_unit"]
