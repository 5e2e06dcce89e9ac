"""The flags of `train.py`."""

from __future__ import annotations

from functools import partial

from absl import flags

FLAGS = flags.FlagValues()
_string = partial(flags.DEFINE_string, flag_values=FLAGS)
_bool = partial(flags.DEFINE_bool, flag_values=FLAGS)
_integer = partial(flags.DEFINE_integer, flag_values=FLAGS)
_list = partial(flags.DEFINE_list, flag_values=FLAGS)

_string("experiment", None, "A preset; other flags override its settings. --list shows the presets.")
_bool("list", False, "List the presets.")
_bool("smoke", False, "With --experiment and --synthetic: one epoch on a few images, to test that all parts work.")
_list(
    "compare",
    None,
    "Also train these and compare: single_task, equal_weights, fixed_weights, or a weighting or schedule by name.",
)
_list("seeds", None, "With --compare: train each network with each of these seeds; default --seed.")
_string(
    "dataset", "fashion_mnist", "fashion_mnist, cifar10, cifar100, celeb_a, or your files: csv:PATH or folder:PATH."
)
_bool("synthetic", False, "Train on a drawn look-alike of the dataset; needs no download.")
_integer("examples", None, "With --synthetic: number of images to draw for each split.")
_string(
    "data_dir",
    None,
    "TFDS directory, or folder of CelebA's or your files; default TFDS_DATA_DIR or ~/tensorflow_datasets.",
)
_string(
    "cache", "auto", "Where decoded images are cached: auto (memory if a split is below 1 GiB), memory, disk or none."
)
_string("on_bad_example", "error", "For images or labels that cannot be read: error or skip.")
_list("tasks", None, "Tasks to train, separated by commas; default those of the dataset.")
_list("task_types", [], "With csv:PATH: kinds of columns, as age=regression,kind=binary. Default: inferred.")
_string("image_size", None, "With csv:PATH or folder:PATH: side of the images, or height x width, as 64 or 64x96.")
_list("task_weights", [], "Weights in the loss, as item=1,group=0.5; 0 drops the task. Default each task's own.")
_string(
    "model", "cnn", "Trunk or network: cnn, mlp, two_paths, a keras.applications name; arguments as cnn(filters=16)."
)
_string("weights", None, "Pretrained weights of the trunk: imagenet or a file. Default none.")
_integer("freeze_trunk", 0, "Freeze the trunk in this many first epochs.")
_string("weighting", "static", "How tasks are weighted: static, uncertainty, dwa(temperature=1), gls, ...")
_string("schedule", "none", "Task schedule: none, dst, random_drop(keep=0.5), static(...), ...")
_integer("epochs", 10, "Passes over the training data.")
_integer("batch_size", 128, "Images in a training step.")
flags.DEFINE_float("learning_rate", 1e-3, "Learning rate of the optimizer.", flag_values=FLAGS)
_string("learning_rate_decay", "cosine", "Decay over the epochs: cosine (to nearly 0) or none.")
_string("optimizer", "adam", "Any of keras.optimizers; arguments as sgd(momentum=0.9).")
_bool("augment", False, "Flip training images at random (celeb_a: landmarks are swapped with them).")
_integer("seed", 0, "Seed of the weights, the order of the images, the draws and the drawn images.")
_string("run_dir", None, "Folder of the run; default runs/<experiment or dataset>-<time>.")
_bool("resume", False, "Resume the run or comparison in --run_dir from its last checkpoint.")
_integer("checkpoint_every", 500, "Training steps between checkpoints; 0 for one at the end of each epoch only.")
_string("jit_compile", "auto", "Compile steps with XLA: auto, true or false.")
_bool("mixed_precision", False, "Compute in 16 bits (float16 on a GPU, bfloat16 on a CPU).")
_integer("steps_per_execution", 1, "Training steps in one call of the compiled function.")
_integer("early_stopping", 0, "Stop after this many epochs without a better val_mtl_score; 0 never.")
_integer("monitor_gradients", 0, "Training steps between measurements of the tasks' gradients; 0 for none.")
_integer("verbose", 1, "0: no output; 1: a live table of the tasks in a terminal; 2: one line per epoch.")
_bool("profile", False, "Trace training steps 10 to 20 for TensorBoard's profiler.")
_bool("export", False, "Write saved_model/ for serving when training is done.")
_string(
    "distribute", "none", "Distribute over the GPUs of this machine: mirrored; over those of TF_CONFIG: multi_worker."
)
_list("export_formats", [], "Further formats to export: onnx, litert.")
