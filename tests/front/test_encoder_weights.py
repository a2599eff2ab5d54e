"""--encoder-weights: timm's own weights of a network, from a file and from a loopback server."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from safetensors.torch import save_file

from icectl.errors import DataError, IcectlError, UsageError, WorkError
from icectl_deeplab_xception import DeepLabTrain
from icectl_deeplab_xception.model import DeepLabXception
from icectl_deeplab_xception.xception import deeplab

SMALL = "test_resnet"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with weights of timm's smallest network, and of another of its kind."""
    monkeypatch.setenv("ICECTL_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "files"
    folder.mkdir()
    torch.manual_seed(5)
    model = timm.create_model(SMALL)
    save_file(model.state_dict(), folder / "a.safetensors")
    save_file(timm.create_model("test_efficientnet").state_dict(), folder / "other.safetensors")
    return folder


@pytest.fixture
def served(files: Path):
    seen: list[str] = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            seen.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(files)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_address[1]}", seen=seen)
    server.shutdown()
    server.server_close()
    thread.join()


def begun(source: Path | str) -> torch.nn.Module:
    torch.manual_seed(9)
    network = deeplab(f"tu-{SMALL}")
    options = SimpleNamespace(network=f"tu-{SMALL}", encoder_weights=source)
    DeepLabXception().initialise(network, options)
    return network.eval()


def expected(files: Path, x: torch.Tensor) -> list[torch.Tensor]:
    """What timm itself makes of the file."""
    overlay = {"file": str(files / "a.safetensors")}
    model = timm.create_model(SMALL, features_only=True, pretrained=True, pretrained_cfg_overlay=overlay)
    with torch.inference_mode():
        return model.eval()(x)


def test_the_encoder_answers_as_timms_own(files):
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        ours = begun(files / "a.safetensors").encoder.model(x)
    for a, b in zip(ours[:3], expected(files, x)[:3], strict=True):  # the deepest maps are dilated here
        assert torch.equal(a, b)


def test_an_address_is_fetched_once_and_checked(files, served):
    digest = hashlib.sha256((files / "a.safetensors").read_bytes()).hexdigest()
    address = f"{served.url}/a.safetensors"
    a, b = begun(f"{address}#sha256={digest}"), begun(files / "a.safetensors")
    assert all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )
    begun(f"{address}#sha256={digest}")
    assert served.seen == ["/a.safetensors"]
    with pytest.raises(WorkError, match="is not what was expected"):
        begun(f"{address}#sha256={'0' * 64}")
    with pytest.raises(WorkError, match="could not be fetched"):
        begun(f"{served.url}/none.safetensors")


def test_two_addresses_with_one_name_are_two_files(files, served):
    (files / "b").mkdir()
    changed = timm.create_model(SMALL).state_dict()
    save_file(changed, files / "b" / "a.safetensors")
    first, second = begun(f"{served.url}/a.safetensors"), begun(f"{served.url}/b/a.safetensors")
    pairs = zip(first.encoder.state_dict().values(), second.encoder.state_dict().values(), strict=True)
    assert not all(torch.equal(x, y) for x, y in pairs)


def test_other_shapes_and_other_files_are_one_sentence(files):
    with pytest.raises(
        DataError, match=r"does not fit the encoder test_resnet: .* is missing, expected"
    ) as said:
        begun(files / "other.safetensors")
    assert said.value.hint == "give the weights of timm's test_resnet"
    wide = timm.create_model(SMALL).state_dict()
    key = next(iter(wide))
    wide[key] = torch.zeros(3, *wide[key].shape[1:])
    save_file(wide, files / "wide.safetensors")
    with pytest.raises(DataError, match=rf"{key} is \(3, 3, 3, 3\), expected "):
        begun(files / "wide.safetensors")
    (files / "text.safetensors").write_text("no weights")
    with pytest.raises(DataError, match="weights that can be read") as said:
        begun(files / "text.safetensors")
    assert "\n" not in said.value.message


def test_code_in_a_file_is_not_run(files):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (files / "ran",))

    torch.save({"state_dict": Evil()}, files / "evil.pth")
    with pytest.raises(DataError, match="can be read"):
        begun(files / "evil.pth")
    assert not (files / "ran").exists()


def test_they_belong_to_networks_of_timm_and_the_file_decides_the_result(files, tmp_path):
    from icectl import train

    with pytest.raises(IcectlError) as said:
        train(
            "deeplab", glacier="demo", workspace=tmp_path / "w", encoder_weights=str(files / "a.safetensors")
        )
    assert said.value.message == (
        "options do not go together: --network 'small' is none of timm's: give one that begins with tu-"
    )
    options = DeepLabTrain(network="tu-xception41", encoder_weights=str(files / "a.safetensors"))
    assert options.encoder_weights == files / "a.safetensors"
    assert DeepLabTrain.model_validate(options.model_dump(mode="json")) == options
    assert isinstance(
        DeepLabTrain(network="tu-xception41", encoder_weights="http://a/b").encoder_weights, str
    )
    with pytest.raises(UsageError, match=r"gone\.safetensors does not exist"):  # before anything is fetched
        train("deeplab", glacier="demo", workspace=tmp_path / "w", network="tu-xception41",
              encoder_weights=str(files / "gone.safetensors"))  # fmt: skip
    assert not (tmp_path / "w" / "glaciers").exists()


@pytest.mark.slow
def test_a_training_starts_from_them_and_answers_without_the_file(files, served, tmp_path):
    from icectl import predict, train
    from icectl.training import load_weights

    torch.manual_seed(3)
    weights = timm.create_model("xception41").state_dict()
    save_file(weights, files / "x.safetensors")
    place = {"glacier": "demo", "workspace": tmp_path / "w", "world": {"count": 1, "years": 1}}
    short = {
        "network": "tu-xception41",
        "updates": 1,
        "validate_every": 1,
        "batch_size": 2,
        "lr": 1e-9,
        "average": 0.0,
    }
    run = train("deeplab", encoder_weights=f"{served.url}/x.safetensors", crop=(64, 64), **short, **place)
    state, _ = load_weights(run.folder / "weights.safetensors")
    key = "network.encoder.model.stem_0.conv.weight"
    assert torch.allclose(state[key], weights["stem.0.conv.weight"], atol=1e-6)
    (files / "x.safetensors").unlink()
    assert predict("deeplab", run=run.folder.name, turns=1, **place).folder.is_dir()
