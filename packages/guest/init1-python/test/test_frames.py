"""Frames: the vectors that C, TypeScript and Python share."""
import json
import os
import unittest

import harness
from vmlet_init1 import frames

VECTORS = os.path.join(harness.FOLDER, "..", "..", "guest-protocol", "vectors", "frames.json")


class Frames(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(VECTORS, encoding="utf-8") as file:
            cls.file = json.load(file)

    def decode(self, data, chunk):
        """Returns the frames of a whole stream, and the code of the error that it ends with."""
        decoder, decoded = frames.Decoder(), []
        try:
            for start in range(0, len(data), chunk):
                decoded += decoder.push(data[start : start + chunk])
            decoder.end()
        except frames.ProtocolError as error:
            with self.assertRaises(frames.ProtocolError):
                decoder.push(b"")
            return decoded + error.decoded, error.code
        return decoded, None

    def test_limits_are_those_of_the_vectors(self):
        self.assertEqual(frames.MAX_FRAME_BYTES, self.file["maxFrameBytes"])
        self.assertEqual(frames.MAX_DEPTH, self.file["maxDepth"])

    def test_every_vector_decodes_as_stated_in_chunks_of_any_size(self):
        self.assertGreater(len(self.file["vectors"]), 50)
        for vector in self.file["vectors"]:
            data = b"".join(bytes.fromhex(part["hex"]) * part["times"] for part in vector["parts"])
            for chunk in (len(data) or 1, 65536) + ((1, 3) if len(data) < 1000 else ()):
                with self.subTest(vector["name"], chunk=chunk):
                    decoded, error = self.decode(data, chunk)
                    self.assertEqual(error, vector["error"])
                    self.assertEqual(len(decoded), len(vector["frames"]))
                    for got, wanted in zip(decoded, vector["frames"]):
                        self.assertEqual(got if wanted else got["type"], wanted or "big")

    def test_what_is_encoded_decodes_to_the_same(self):
        frame = {"type": "a", "text": "\u00e9\u20ac\U0001f600\0\n", "list": [1, None, {"deep": True}]}
        self.assertEqual(self.decode(frames.encode(frame), 7), ([frame], None))

    def test_a_frame_over_the_limit_is_not_encoded(self):
        with self.assertRaises(frames.ProtocolError) as caught:
            frames.encode({"type": "x" * frames.MAX_FRAME_BYTES})
        self.assertEqual(caught.exception.code, "FRAME_TOO_LONG")


if __name__ == "__main__":
    unittest.main()
