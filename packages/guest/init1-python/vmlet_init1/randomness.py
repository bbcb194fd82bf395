"""Makes clones of one snapshot draw different random numbers: the kernel was reseeded before, this is what stands here."""
import os
import sys

_SEED_BYTES = 48


def reseed():
    """Reseeds every generator that this process has. One that was not imported has no state to share.

    `uuid4`, `secrets` and `os.urandom` ask the kernel each time. Not to be reached from here: the hash seed of strings,
    and generators that a program keeps to itself (it has `after_restore` for those).
    """
    random = sys.modules.get("random")
    if random is not None:
        random.seed()
    ssl = sys.modules.get("_ssl")
    if ssl is not None:
        ssl.RAND_add(os.urandom(_SEED_BYTES), float(_SEED_BYTES))
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = None  # has a generator of its own, seeded by the process id, which clones share
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


def rehearse():
    """Does what `reseed` does, to no state that counts: the code for it is then in memory when a clone needs it."""
    random = sys.modules.get("random")
    if random is not None:
        random.Random().seed()
    ssl = sys.modules.get("_ssl")
    if ssl is not None:
        ssl.RAND_add(os.urandom(_SEED_BYTES), float(_SEED_BYTES))
