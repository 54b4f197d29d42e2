"""Gradients and moved copies of a model, for tests that work out a step by hand."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F


def gradient(model, batch, loss=None):
    """{name: gradient} of the fused loss, in training mode, without moving any statistic."""
    model = copy.deepcopy(model).train()
    torch.manual_seed(7)
    out = model(batch.inputs)
    (F.cross_entropy(out.logits, batch.targets) if loss is None else loss(out)).backward()
    return {
        k: torch.zeros_like(p) if p.grad is None else p.grad for k, p in model.named_parameters()
    }


def moved(model, eps):
    model = copy.deepcopy(model)
    with torch.no_grad():
        for k, p in model.named_parameters():
            p += eps.get(k, torch.zeros(()))
    return model


def scaled(grads, rho):
    norm = torch.sqrt(sum((g**2).sum() for g in grads.values()))
    return {k: rho * g / norm for k, g in grads.items()}


def applied(model, grads, lr=0.1):
    return moved(model, {k: -lr * g for k, g in grads.items()})
