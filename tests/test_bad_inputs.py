"""Whatever is wrong with what a program is given, it says so in one line, and nothing that was there is touched."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import evaluate
import train
from tests import damage as do
from tests.damage import SOURCES, Damage

QUICK = "--model=mlp(dense=4) --epochs=1 --batch_size=10"
FACES = "--dataset=celeb_a --tasks=Smiling,landmarks"


class Case(NamedTuple):
    """Something wrong.

    Args:
        says: the regular expression that the message matches.
        flags: further flags, separated by spaces; `{tmp}` is the folder of the test, with `data` and `run` in it.
        source: which of `SOURCES` is in `data`, or `"run"` for a finished run in `run` beside "garments".
        damage: what was done to it.
        code: the program's exit code.
        program: which.
        cache: what `MTL_KERAS_CACHE` says.
    """

    says: str
    flags: str = ""
    source: str = "garments"
    damage: Damage | None = None
    code: int = 1
    program: str = "train"
    cache: str = "{tmp}/cache"


# Those with "nothing" are found before data are looked for.
FLAGS = {
    "unknown dataset": Case("Did you mean 'fashion_mnist'", "--dataset=fashion_mnits"),
    "unknown task": Case("task in tasks. Did you mean 'item'", "--tasks=itme", "nothing"),
    "a task twice": Case("Received twice: 'item'", "--tasks=item,item"),
    "unknown schedule": Case("Did you mean 'dst'", "--schedule=dts"),
    "none is a schedule": Case("Did you mean 'none'", "--schedule=non"),
    "unknown schedule argument": Case("flor", "--schedule=dst(flor=0.3)"),
    "schedule of an unknown task": Case(
        "schedule: Unknown task in weights. Did you mean 'group'", "--schedule=static(weights={{'gruop':0}})", "nothing"
    ),
    "negative weight in a schedule": Case("-1", "--schedule=static(weights={{'group':-1}})"),
    "NaN in a schedule": Case("Received: 'nan'", "--schedule=dst(floor=nan)"),
    "not a specification": Case("Cannot read the schedule.*Received", "--schedule=__import__('os').system('true')"),
    "wrong argument of a network": Case("Wrong arguments for network 'cnn'", "--model=cnn('x')"),
    "a call in an optimizer": Case("numbers and texts. Received: foo", "--optimizer=adam(beta_1=foo)"),
    "unknown strategy": Case("value of distribute. Did you mean 'mirrored'", "--distribute=mirorred"),
    "no cluster": Case("needs TF_CONFIG=.*Received: TF_CONFIG=''", "--distribute=multi_worker"),
    "schedule that is a weighting": Case("train.py as --weighting.*'pcgrad'", "--schedule=pcgrad", "nothing"),
    "weighting that is a schedule": Case("train.py as --schedule.*'dst'", "--weighting=dst", "nothing"),
    "unknown weighting": Case("Did you mean 'pcgrad'", "--weighting=pcgard"),
    "wrong weighting argument": Case(
        "argument of weighting 'cagrad'. Received: 'd'. Choices: c", "--weighting=cagrad(d=1)"
    ),
    "negative task weight": Case("-1", "--task_weights=item=-1"),
    "NaN task weight": Case("task_weights must be finite numbers >= 0. Received: item=nan", "--task_weights=item=nan"),
    "infinite task weight": Case("finite numbers >= 0. Received: item=inf", "--task_weights=item=inf"),
    "weight of an unknown task": Case("task in task_weights. Did you mean 'item'", "--task_weights=itme=1", "nothing"),
    "weight without a number": Case("task=number", "--task_weights=item"),
    "all weights zero": Case("At least one task", "--task_weights=item=0,group=0", "nothing"),
    "unknown model": Case("Did you mean 'cnn'", "--model=cnnn", "nothing"),
    "no filters": Case("Received filters=0", "--model=cnn(filters=0)"),
    "weights that are not there": Case("There is no file .*vgg.h5", "--weights={tmp}/vgg.h5 --model=cnn"),
    "unknown optimizer": Case("Did you mean 'adam'", "--optimizer=adm"),
    "wrong optimizer argument": Case(
        r"Unknown argument of optimizer 'sgd'\. Received: 'lr'\. Choices: .*learning_rate, .*momentum",
        "--optimizer=sgd(lr=0.1)",
    ),
    "unknown value": Case("Did you mean 'false'", "--jit_compile=flase"),
    "unknown decay": Case("Did you mean 'cosine'", "--learning_rate_decay=cosin"),
    "unknown cache": Case("Did you mean 'disk'", "--cache=dsik"),
    "unknown way with bad examples": Case("Did you mean 'skip'", "--on_bad_example=skpi"),
    "unknown format": Case("Did you mean 'onnx'", "--export_formats=onxx"),
    "unknown experiment": Case("Did you mean 'cifar10_3'", "--experiment=cifar10_33"),
    "experiment on another dataset": Case("uses dataset cifar10", "--experiment=cifar10_1 --dataset=cifar100"),
    "smoke on real data": Case("it needs --synthetic", "--experiment=cifar10_1 --smoke"),
    "smoke without an experiment": Case("it needs --experiment", "--smoke"),
    "no epochs": Case("epochs=0", "--epochs=0"),
    "no batch": Case("batch_size=0", "--batch_size=0"),
    "negative learning rate": Case("learning_rate=-1", "--learning_rate=-1"),
    "negative monitor_gradients": Case(
        "monitor_gradients must be at least 0. Received: monitor_gradients=-1", "--monitor_gradients=-1"
    ),
    "negative task_affinity": Case("task_affinity must be at least 0", "--task_affinity=-1"),
    "NaN learning rate": Case("finite number > 0. Received: learning_rate=nan", "--learning_rate=nan"),
    "negative seed": Case("seed must be at least 0. Received: seed=-1", "--seed=-1"),
    "examples of real data": Case("synthetic data. Received: examples=10", "--examples=10"),
    "no examples": Case("examples=0", "--examples=0 --synthetic"),
    "a share of no examples": Case("share in .0, 1.*Received: train_examples=0.0", "--train_examples=0.0"),
    "more examples than there are": Case("has 18 examples. Received: train_examples=19", "--train_examples=19"),
    "examples that are no number": Case("--train_examples takes a number, as 1000", "--train_examples=few"),
    "unknown comparison": Case("Did you mean 'pcgrad'", "--compare=pcgard"),
    "unknown task in a comparison": Case("Did you mean 'item'", "--compare=single_task --tasks=itme"),
    "unknown model in a comparison": Case("Did you mean 'cnn'", "--compare=single_task --model=cnnn"),
    "a seed and seeds": Case("--seed or --seeds, not both", "--compare=single_task --seeds=0,1 --seed=2"),
    "a seed twice": Case("--seeds takes one or more different values", "--compare=single_task --seeds=1,1"),
    "seeds without a comparison": Case("it needs --compare", "--seeds=1,2"),
    "runs at a time without a comparison": Case("it needs --compare or --sweep", "--parallel=2"),
    "no runs at a time": Case("a number of runs at a time >= 1, ray or ray:ADDRESS", "--compare=dst --parallel=0"),
    "cores without processes": Case("it needs --parallel", "--compare=dst --run_cpus=1"),
    "more cores than there are": Case("run_cpus must be at most", "--compare=dst --parallel=2 --run_cpus=9999"),
    "parts of several GPUs": Case("whole number or less than 1", "--compare=dst --parallel=2 --run_gpus=1.5"),
    "a sweep of an unknown setting": Case("setting of --sweep. Did you mean 'epochs'", "--sweep=epohcs=1,2"),
    "a sweep of the seed": Case("--sweep cannot vary seed", "--sweep=seed=1,2"),
    "a sweep with a value of another type": Case("flag --epochs=two", "--sweep=epochs=1,two"),
    "a sweep with an impossible value": Case("epochs=0", "--sweep=epochs=1,0"),
    "a sweep of an unknown weighting": Case("Did you mean 'pcgrad'", "--sweep=weighting=static,pcgard"),
    "a sweep without values": Case("takes setting=value,value", "--sweep=learning_rate"),
    "an empty sweep": Case("takes setting=value,value.*Received: ''", "--sweep="),
    "a setting twice in a sweep": Case("Received twice: epochs", "--sweep=epochs=1;epochs=2"),
    "a value twice in a sweep": Case("Received twice: learning_rate=0.001", "--sweep=learning_rate=1e-3,0.001"),
    "a setting in a sweep and alone": Case("--learning_rate or --sweep", "--sweep=learning_rate=1 --learning_rate=1"),
    "a sweep and a comparison": Case("--compare or --sweep, not both", "--sweep=epochs=1,2 --compare=dst"),
    "a rule for a sweep": Case("ranked by validation", "--sweep=epochs=1,2 --judge_at=last"),
    "a seed that is none": Case("--seeds takes whole numbers >= 0.*'one'", "--seeds=one --compare=pcgrad"),
    "unknown flag": Case("Did you mean: epochs", "--epoch=3", code=2),
    "flag of another type": Case("three", "--epochs=three", code=2),
    "flag without a value": Case("Missing value for flag --epochs", "--epochs", code=2),
    "no flag": Case("Unknown argument 'fashion_mnist'", "fashion_mnist", code=2),
}

PLACES = {
    "no such directory": Case("nowhere. The directory does not exist.*--synthetic", "--data_dir={tmp}/nowhere"),
    "directory that is a file": Case("file. It is a file", "--data_dir={tmp}/data/file", damage=do.plain_file),
    "no celeb_a": Case("tfds build celeb_a.*--synthetic", "--dataset=celeb_a", "nothing"),
    "run_dir is a file": Case("--resume.*run_dir='.*file'", "--run_dir={tmp}/data/file", damage=do.plain_file),
    "run_dir in a file": Case("Not a directory.*/file/run", "--run_dir={tmp}/data/file/run", damage=do.plain_file),
    "run_dir that holds something": Case("--resume.*run_dir='.*data'", "--run_dir={tmp}/data"),
    "cache cannot be written": Case(
        "decoded images in .*/file/decoded: .*MTL_KERAS_CACHE", "--cache=disk", damage=do.plain_file,
        cache="{tmp}/data/file",
    ),
    "nothing can be drawn there": Case(
        "synthetic dataset in .*/file/.*MTL_KERAS_CACHE", "--synthetic --data_dir=", damage=do.plain_file,
        cache="{tmp}/data/file",
    ),
}  # fmt: skip

RECORDS = "*/*/*train.tfrecord*"
TFRECORDS = {
    "truncated records": Case("train: .*18 elements but .*train.tfrecord-00000", damage=do.file(RECORDS, do.cut)),
    "truncated records, streamed": Case(
        "train: .* elements but .*train.tfrecord-00000", "--cache=none", damage=do.file(RECORDS, do.cut)
    ),
    "truncated records, skipping": Case(
        "train: .*18 elements but .*train.tfrecord-00000", "--on_bad_example=skip", damage=do.file(RECORDS, do.cut)
    ),
    "flipped bit": Case("train: corrupted record .*train.tfrecord-00000", damage=do.file(RECORDS, do.flipped)),
    "flipped bit, skipping": Case(
        "train: corrupted record .*train.tfrecord-00000", "--on_bad_example=skip", damage=do.file(RECORDS, do.flipped)
    ),
    "missing shard": Case("train.tfrecord-00000, a file of the train split, is missing", damage=do.remove(RECORDS)),
    "dataset_info.json cut off": Case(
        "Cannot read the dataset in .*/3.0.1: Failed to load JSON", damage=do.file("*/*/dataset_info.json", do.cut)
    ),
    "dataset_info.json not there": Case("Cannot read the dataset in", damage=do.remove("*/*/dataset_info.json")),
    "dataset_info.json without splits": Case("has no split 'train'", damage=do.no_splits),
    "empty split": Case("train split .* is empty", damage=do.shard_lengths(0)),
    "fewer examples than announced": Case("split train: .*22 elements.*train.tfrecord", damage=do.shard_lengths(25)),
    "features.json cut off": Case(
        "Cannot read the dataset in .*/3.0.1", damage=do.file("*/*/features.json", do.cut)
    ),
    "features.json not there": Case("Cannot read the dataset in .*/3.0.1", damage=do.remove("*/*/features.json")),
    "labels as floats": Case(
        "'label' should be an integer or bool .*float32", damage=do.garment_features({"label": np.float32})
    ),
    "images of another size": Case(
        r"'image' should be .*\(28, 28, 1\). Received: uint8 \(27, 27, 1\)",
        damage=do.file("*/*/features.json", do.text('"28"', '"27"', 2)),
    ),
    "NaN in an image": Case("split train: an image holds NaN or Inf .*example 7", damage=do.nan_in_garments),
    "label 10 of 10": Case(r"label is not from 0 to 9. .*label=10 \(example 3\)", damage=do.garment_label(10)),
    "PNG that is none": Case(r"Invalid PNG.*example 3", damage=do.garment_image(b"\x89PNG\r\n\x1a\n nothing")),
    "nothing but bad examples": Case(
        "split train: none of 18 examples", "--on_bad_example=skip", damage=do.garment_image(b"no", range(20))
    ),
    "truncated JPEG": Case("split train: .*JPEG.*example 2", FACES, "faces", do.face_image(do.cut)),
    "attribute 2": Case(
        "attributes/Smiling is not from 0 to 1. Received: attributes/Smiling=2", FACES, "faces",
        do.face_value("attributes/Smiling", 2),
    ),
    "landmark far outside": Case(
        "landmarks/nose_x is not from -178 to 356. Received: landmarks/nose_x=5000", FACES, "faces",
        do.face_value("landmarks/nose_x", 5000),
    ),
}  # fmt: skip

FILES = {
    "name with ..": Case("lacks .*the first ../etc.jpg", FACES, "files", do.renamed("000002.jpg", "../etc.jpg")),
    "landmark that is NaN": Case(
        "list_landmarks.*'nan.* to int32 at row 0", FACES, "files", do.file("list_landmarks*", do.text(" 1", " nan"))
    ),
    "landmark that is infinite": Case(
        "list_landmarks.*'inf.* to int32 at row 0", FACES, "files", do.file("list_landmarks*", do.text(" 1", " inf"))
    ),
    "landmark beyond 32 bits": Case(
        "list_landmarks.* to int32", FACES, "files", do.file("list_landmarks*", do.text(" 1", " 99999999991"))
    ),
    "list that is a folder": Case("Is a directory: .*list_attr", FACES, "files", do.folder("list_attr_celeba.txt")),
    "zip with a flipped bit": Case(
        r"\.zip is damaged.*Bad CRC-32.*example 000003.jpg", FACES, "zip", do.file("*.zip", do.flipped)
    ),
    "zip that climbs": Case(
        "lacks 9 of the 9 images", FACES, "zip", do.zipped(lambda names: [f"../../{name}x" for name in names])
    ),
    "zip bomb": Case("unpacks to 100 MiB", FACES, "zip", do.zipped(lambda names: names[:1], bytes(100 * 2**20))),
}  # fmt: skip

COMPARED = "--run_dir= --compare={tmp}/run,{tmp}/run"
RUNS = {
    "no run": Case("no config.json. Received: run_dir=.*nowhere", "--run_dir={tmp}/nowhere", "run", program="evaluate"),
    "no run to resume": Case("no config.json. .*nowhere", "--resume --run_dir={tmp}/nowhere", "run"),
    "other settings": Case("cannot change batch_size=10. Received: --batch_size=7", "--resume --batch_size=7", "run"),
    "other dataset": Case("cannot change dataset='fashion_mnist'", "--resume --dataset=cifar10", "run"),
    "config.json cut off": Case("config.json is damaged", "--resume", "run", do.file("config.json", do.cut)),
    "config.json with an unknown setting": Case(
        "config.json is damaged: .*'epochs'", "--resume", "run", do.file("config.json", do.text('"epochs"', '"epoch"'))
    ),
    "config.json with a text for a number": Case(
        "config.json is damaged: .*'epochs' .*another type", "--resume", "run",
        do.file("config.json", do.text('"epochs": 1', '"epochs": "one"')),
    ),
    "config.json of a list": Case(
        "config.json is damaged: it holds no settings",
        "--resume",
        "run",
        do.file("config.json", lambda content: b"[1]"),
    ),
    "config.json that is not text": Case(
        "config.json is damaged", "", "run", do.file("config.json", lambda content: b"\xff\xfe"), program="evaluate"
    ),
    "model cut off": Case("best.keras is damaged", "", "run", do.file("best.keras", do.cut), program="evaluate"),
    "model of nothing": Case(
        "best.keras is damaged", "", "run", do.file("best.keras", lambda content: b""), program="evaluate"
    ),
    "no model": Case("no model .*best.keras", "", "run", do.remove("best.keras"), program="evaluate"),
    "no export": Case("no exported model at .*saved_model", "--saved_model", "run", program="evaluate"),
    "unknown split": Case(
        "split. Did you mean 'validation'", "--split=val --data_dir={tmp}/data_is_gone", "run", program="evaluate"
    ),
    "no batch in evaluation": Case("batch_size=0", "--batch_size=0", "run", program="evaluate"),
    "no data any more": Case("data_is_gone. The dir", "--data_dir={tmp}/data_is_gone", "run", program="evaluate"),
    "predictions of an unfinished model": Case(
        "no model .*best.keras", "--predict={tmp}/run/config.json", "run", do.remove("best.keras"), program="evaluate"
    ),
    "tasks that are not described": Case(
        "config.json is damaged: a task is described by", "--predict={tmp}/run/config.json", "run",
        do.file("config.json", do.text('"head": ', '"hat": ')), program="evaluate",
    ),
    "metrics.json cut off": Case(
        "metrics.json is damaged", COMPARED, "run", do.file("metrics.json", do.cut), program="evaluate"
    ),
    "metrics.json with words": Case(
        "metrics.json is damaged", COMPARED, "run", do.file("metrics.json", lambda content: b'{"tasks": "x"}'),
        program="evaluate",
    ),
}  # fmt: skip

CASES = {**FLAGS, **PLACES, **TFRECORDS, **FILES, **RUNS}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns a folder of one of the `SOURCES`, made when it is first asked for; or a finished run."""
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name) / name
            if name == "run":
                # Where names may be in any script, and with a class that never occurs.
                folder = Path(shutil.copytree(get("garments"), tmp_path_factory.mktemp("données 数据") / "дата"))
                made[name] = folder / "läufe" / "run"
                flags = [*QUICK.split(), f"--data_dir={folder}", f"--run_dir={made[name]}"]
                train.program(["train.py", *flags])
            else:
                SOURCES[name](made[name])
        return made[name]

    return get


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_one_line_and_nothing_touched(
    case: Case,
    source: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    of_run = case.source == "run"
    place = Path(shutil.copytree(source(case.source), tmp_path / ("run" if of_run else "data")))
    if case.damage:
        case.damage(place)
    before = content(tmp_path)
    monkeypatch.setenv("MTL_KERAS_CACHE", case.cache.format(tmp=tmp_path))
    monkeypatch.chdir(tmp_path)
    module = {"train": train, "evaluate": evaluate}[case.program]
    flags = [] if of_run else [*QUICK.split(), f"--data_dir={tmp_path / 'data'}"]
    flags += [f"--run_dir={tmp_path / 'run'}", *(flag.format(tmp=tmp_path) for flag in case.flags.split(" ") if flag)]
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        module.program([f"{case.program}.py", *flags])
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert re.search(case.says, said), said
    assert exit_.value.code == case.code
    assert content(tmp_path) == before


def test_a_class_that_never_occurs_leaves_the_metrics_finite(source: Callable[[str], Path]) -> None:
    metrics = json.loads((source("run") / "metrics.json").read_text())
    assert all(np.isfinite(entry["value"]) for entry in metrics["tasks"]["item"].values())
