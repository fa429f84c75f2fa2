"""Real photographs and real pretrained weights, where they are at hand."""

from __future__ import annotations

import sagemaker_dogbreed as sdb

BREEDS = 4


def test_a_pretrained_network_learns_photographs(test_data, tmp_path):
    """A new head on pretrained features tells breeds apart, in the test split and at the endpoint."""
    source = test_data / "dogs" / "imagewoof10"
    for split in ("train", "valid", "test"):
        (tmp_path / "photos" / split).mkdir(parents=True)
        for folder in sorted((source / split).iterdir())[:BREEDS]:
            (tmp_path / "photos" / split / folder.name).symlink_to(folder)
    (weights,) = (test_data / "weights").glob("mobilenet_v2-imagenet-*.pth")
    training = sdb.TrainingSpec(
        backbone="mobilenet_v2", weights=weights, epochs=3, batch_size=16, learning_rate=0.003, num_workers=0
    )
    session = sdb.Session.local(tmp_path / "root")
    dataset = session.upload(sdb.DatasetSpec(source=tmp_path / "photos"), progress=False)
    job = session.train(training, dataset).wait(timeout_seconds=600)
    assert job.result().metrics["Test Top-1"] >= 0.8  # a fourth by chance
    with session.deploy(sdb.EndpointSpec(), job.model) as predictor:
        breed = dataset.classes[0]
        predictions = predictor.predict(sorted((source / "test" / breed).iterdir()))
    right = [prediction.class_name == breed for prediction in predictions]
    assert sum(right) >= len(right) * 0.7
