"""Faults in data: what splits share, wrong labels, the order of samples."""

from tools.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "ave/background-is-the-event",
        "data/ave.py",
        "torch.where(silent, len(events), targets[:, None])",
        "targets[:, None].expand_as(silent)",
        "data/test_hdf5_sets.py::test_the_ten_segments_of_a_clip_have_a_label_each",
    ),
    Mutant(
        "ave/channels-stay-last",
        "data/ave.py",
        "visual.transpose(0, 3, 1, 2) if regions",
        "visual if regions",
        "data/test_hdf5_sets.py::test_places_are_kept_and_every_network_reads_them",
    ),
    Mutant(
        "folder/images-always-varied",
        "data/folder.py",
        'augment and part == "train"',
        'part == "train"',
        "data/test_folder.py",
    ),
    Mutant(
        "avmnist/noise-shared-by-splits",
        "data/avmnist.py",
        "noise[int(a * len(noise)) : int(b * len(noise))]",
        "noise",
        "data/test_avmnist_splits.py",
    ),
    Mutant(
        "avmnist/components-of-all-images",
        "data/_avmnist_recipe.py",
        'principal_components(pools["train"].images, energy)',
        "principal_components(np.concatenate([p.images for p in pools.values()]), energy)",
        "data/test_avmnist_splits.py",
    ),
    Mutant(
        "avmnist/images-shared-by-splits",
        "data/avmnist.py",
        "start += total",
        "start += 0",
        "data/test_avmnist_splits.py",
    ),
    Mutant(
        "avmnist/standardised-split-by-split",
        "data/_avmnist_recipe.py",
        '(out[f"{part}_audio"] - middle) / spread',
        '(out[f"{part}_audio"] - out[f"{part}_audio"].mean((0, 3), keepdim=True)) / spread',
        "data/test_avmnist_splits.py",
    ),
    Mutant(
        "avmnist/another-digit-is-spoken",
        "data/_avmnist_recipe.py",
        "pool.digits == d",
        "pool.digits != d",
        "data/test_avmnist_splits.py",
    ),
    Mutant(
        "label-noise/some-stay-right",
        "data/label_noise.py",
        "torch.randint(1, n_classes,",
        "torch.randint(0, n_classes,",
        "data/test_common.py::test_label_noise_changes_exactly_the_stated_share",
    ),
    Mutant(
        "label-noise/neighbours-preferred",
        "data/label_noise.py",
        "torch.randint(1, n_classes,",
        "torch.randint(1, 2,",
        "data/test_common.py::test_label_noise_is_uniform_over_the_other_classes",
    ),
    Mutant(
        "loader/the-same-order-in-every-epoch",
        "data/loader.py",
        "self.seed * 1_000_003 + self.epoch",
        "self.seed * 1_000_003",
        "data/test_common.py::test_order_depends_on_seed_and_epoch_alone",
    ),
    Mutant(
        "loader/copies-are-whole",
        "data/loader.py",
        "| ~extra[:, None]",
        "| extra[:, None]",
        "methods/test_sample_valuation.py::test_the_loader_shows_copies_with_zeroed_modalities",
    ),
    Mutant(
        "loader/the-rest-is-left-out",
        "data/loader.py",
        "return full if dropped else full + 1",
        "return full",
        "data/test_common.py::test_batches_cover_everything_once",
    ),
]
