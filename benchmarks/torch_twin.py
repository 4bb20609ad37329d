"""One of our networks as a PyTorch module with the same weights, for the benchmarks that compare with PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from wlbook.network import layers as wl_layers


class Sum(torch.nn.Module):
    """x + y."""

    def forward(self, x: Any, y: Any) -> Any:
        return x + y


class Residual(torch.nn.Module):
    """x + inner(x)."""

    def __init__(self, inner: Any, addition: Any):
        super().__init__()
        self.inner, self.sum = inner, addition

    def forward(self, x: Any) -> Any:
        return self.sum(x, self.inner(x))


def torch_module(layers: Any, *, addition: Callable[[], Any] = Sum, padded: bool = True) -> Any:
    """The same network in PyTorch, every layer used once.

    Args:
        layers: of the network, for images that its strides divide.
        addition: makes the module that adds two images; Captum has a rule for one of its own only.
        padded: whether uneven padding is a layer, for which Captum's relevance has no rule. If not, padding is even, of
            a kernel that begins with zeros, which costs a little more.
    """

    def convert(layer: Any) -> list[Any]:
        match layer:
            case wl_layers.Convolution():
                outputs, kernel, stride = layer.weight.shape[3], layer.weight.shape[0], layer.stride
                before = (kernel - stride) // 2  # of JAX's "SAME"
                after = kernel - stride - before
                uneven = padded and before != after
                pad, shift = (0, 0) if uneven else (after, after - before)
                grown = np.pad(np.asarray(layer.weight), ((shift, 0), (shift, 0), (0, 0), (0, 0)))
                conv = torch.nn.Conv2d(layer.weight.shape[2], outputs, grown.shape[0], stride=stride, padding=pad)
                conv.weight.data = torch.tensor(grown).permute(3, 2, 0, 1).contiguous()
                conv.bias.data = torch.tensor(np.asarray(layer.bias))
                return [torch.nn.ZeroPad2d((before, after, before, after)), conv] if uneven else [conv]
            case wl_layers.Dense():
                dense = torch.nn.Linear(*layer.weight.shape)
                dense.weight.data = torch.tensor(np.asarray(layer.weight)).T.contiguous()
                dense.bias.data = torch.tensor(np.asarray(layer.bias))
                return [dense]
            case wl_layers.ReLU():
                return [torch.nn.ReLU()]
            case wl_layers.AveragePool():
                return [torch.nn.AvgPool2d(layer.size)]
            case wl_layers.GlobalAverage():
                return [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
            case wl_layers.Residual():
                return [Residual(torch_module(layer.layers, addition=addition, padded=padded), addition())]
            case wl_layers.ChannelsLast():
                return []  # PyTorch counts channels first
        raise TypeError(f"{type(layer).__name__} has no counterpart here")

    return torch.nn.Sequential(*[part for layer in layers for part in convert(layer)])
