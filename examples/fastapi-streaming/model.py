"""The smallest language model: after each word, one of those that followed it in the corpus."""
import random
import re
from collections import defaultdict


class WordModel:
    def __init__(self, text: str):
        words = re.findall(r"[a-z']+", text.lower())
        self._followers = defaultdict(list)
        # The last word is followed by the first, so that there is always a next one.
        for word, follower in zip(words, words[1:] + words[:1]):
            self._followers[word].append(follower)

    @classmethod
    def from_file(cls, path: str) -> "WordModel":
        with open(path, encoding="utf-8") as file:
            return cls(file.read())

    def __len__(self) -> int:
        return len(self._followers)

    def words(self, prompt: str, *, limit: int, seed: int):
        """Words that might follow a prompt; the same ones for the same seed."""
        chance = random.Random(seed)
        known = [word for word in re.findall(r"[a-z']+", prompt.lower()) if word in self._followers]
        word = known[-1] if known else next(iter(self._followers))
        for _ in range(limit):
            word = chance.choice(self._followers[word])
            yield word
