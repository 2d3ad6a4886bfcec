"""Training itself: needs torch (``make test-train``; not part of the default run)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.content_classification import PARTS, WIDTH
from models.training import content_classification, text_moderation
from models.training.content_classification import GATED, FusionNet, only
from models.training.content_classification import Net as FusionShape
from models.training.loop import Examples, Fit, fit, seed_everything, temperature
from models.training.text_moderation import Net, TextModerationNet


def net(seed: int = 1) -> TextModerationNet:
    seed_everything(seed)
    return TextModerationNet(Net(hidden=16), torch.zeros(384), torch.ones(384))


def fusion(shape: FusionShape) -> FusionNet:
    kinds = {name: torch.eye(PARTS[name])[:2] for name in GATED}
    return FusionNet(shape, torch.randn(WIDTH), torch.ones(WIDTH), kinds)


def examples(count: int, seed: int) -> Examples:
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(6, (count,), generator=random)
    centres = torch.randn(6, 384, generator=torch.Generator().manual_seed(0))
    return Examples(centres[labels] + torch.randn(count, 384, generator=random), labels)


def test_the_loop_learns_and_repeats() -> None:
    outcomes = []
    for _ in range(2):
        module = net()
        history = fit(module, examples(400, 1), examples(100, 2), Fit(epochs=15), lambda *_: None)
        outcomes.append((history, module.state_dict()))
    checked = examples(100, 3)
    with torch.no_grad():
        accuracy = (module(checked.inputs).argmax(1) == checked.labels).float().mean()
    assert accuracy > 0.9
    assert outcomes[0][0] == outcomes[1][0]
    assert all(torch.equal(a, b) for a, b in zip(outcomes[0][1].values(), outcomes[1][1].values(), strict=True))


def test_the_loop_stops_early_and_keeps_the_best_pass() -> None:
    module = net()
    noise = Examples(torch.randn(64, 384), torch.randint(6, (64,)))
    history = fit(module, noise, Examples(torch.randn(64, 384), torch.randint(6, (64,))), Fit(epochs=80, patience=3,
                  learning_rate=1e-2), lambda *_: None)  # fmt: skip
    assert len(history.validation) < 80
    assert history.validation[history.best] == min(history.validation)


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    bad = examples(20, 1)
    bad.inputs[0, 0] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        fit(net(), bad, examples(20, 2), Fit(epochs=2), lambda *_: None)


def test_temperature_cools_a_network_that_is_too_sure() -> None:
    logits = torch.tensor([[20.0, 0.0]] * 10)
    assert temperature(logits, torch.tensor([0] * 7 + [1] * 3)) > 2.0
    assert temperature(logits, torch.tensor([0] * 10)) == 1.0


def test_an_absent_modality_changes_nothing_whatever_the_network_thinks_of_zeros() -> None:
    seed_everything(1)
    module = fusion(FusionShape(width=8, hidden=8)).eval()
    parts = np.random.default_rng(1).normal(size=(4, WIDTH)).astype(np.float32)
    masked = torch.from_numpy(only(parts, ("text",)))
    before = module(masked)
    with torch.no_grad():
        module.projections[0].bias += 100.0
    assert torch.allclose(module(masked), before, atol=1e-6)
    assert not torch.allclose(module(torch.from_numpy(parts)), before)


def test_leaving_out_keeps_one_modality_of_each_item() -> None:
    seed_everything(1)
    module = fusion(FusionShape(left_out=1.0))
    kept = module.leave_out(torch.ones(200, WIDTH)).split(tuple(PARTS.values()), dim=1)
    present = torch.stack([part.any(dim=1) for part in kept], dim=1)
    assert present.any(dim=1).all()
    assert (present.sum(dim=1) == 1).all()


def test_an_unknown_picture_is_treated_as_absent_and_nothing_known_gives_nothing() -> None:
    seed_everything(1)
    module = fusion(FusionShape(width=8, hidden=8)).eval()
    module.gates.fill_(0.9)
    parts = torch.zeros(3, WIDTH)
    parts[0, 1480] = parts[1, 1480] = 1.0  # the same text; the second has a picture of no known kind
    parts[1, 200 + 7] = 1.0
    parts[2, 200 + 7] = 1.0
    with torch.no_grad():
        answer = module(parts)
    assert torch.allclose(answer[0], answer[1])
    assert answer[0].sum() == pytest.approx(1.0)
    assert not answer[2].any()
    parts[2, 200:1480] = torch.eye(1280)[1]
    with torch.no_grad():
        assert module(parts)[2].sum() == pytest.approx(1.0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("training", [text_moderation, content_classification])
def test_debug_runs_end_in_a_verified_card(training, tmp_path: Path) -> None:
    card = training.run(training.Config.debug(tmp_path / "cards", tmp_path / "kept"), lambda _: None, lambda *_: None)
    assert card.recorded is not None
    evaluation = json.loads((card.folder / "evaluation.json").read_text())
    assert evaluation["parity"]["worst_difference_of_onnx"] < 1e-4
