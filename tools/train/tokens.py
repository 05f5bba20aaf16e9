#!/usr/bin/env python3
"""Writes the tokenizer of the model in weights/pair: byte-level BPE in CLIP's form, a small one.

    venv/bin/python tools/train/tokens.py weights/pair

The 512 byte symbols of CLIP, so that any text has ids; merges learned from English sentences of
scenes, templates and the documentation; and for the Chinese characters of the same and the most
frequent of README.zh-CN.md merges that make each of them one token. No merge reaches from one Chinese
character into the next: a sentence without spaces is one word to CLIP's rule, and what a word is would
depend on its neighbours. Then the two special tokens.
"""
import argparse
import collections
import glob
import json
import os
import re
import subprocess

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

START, END = "<|startoftext|>", "<|endoftext|>"
PIECES = (r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|"
          r"[^\s\p{L}\p{N}]+")
ENGLISH, CHINESE, CONTEXT = 560, 400, 32  # merges; characters; ids of a text at most
HAN = re.compile("[\u3400-\u9fff]")


def byte_symbols():
    """CLIP's order of bytes, and the character that stands for each."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + n) for n, b in enumerate(rest)}}


def corpus(scenes, root):
    """Sentences (each sort of word as often as the others would be), templates, documentation."""
    lines = subprocess.run([scenes, "--sentences"], check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in lines.splitlines()]
    english, chinese = [r[6] for r in rows], [r[7] for r in rows]
    for path in glob.glob(os.path.join(root, "weights/templates/*.txt")):
        with open(path, encoding="utf-8") as file:
            text = file.read().replace("{}", " ")
        english += [text] * 20
        chinese += [text] * 20
    for path in glob.glob(os.path.join(root, "docs/*.md")):
        with open(path, encoding="utf-8") as file:
            english.append(re.sub(r"[^A-Za-z' ]+", " ", file.read()))
    with open(os.path.join(root, "README.zh-CN.md"), encoding="utf-8") as file:
        chinese.append(file.read())
    return [HAN.sub(" ", t) for t in english], chinese


def english_merges(texts):
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECES), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1 << 20, min_frequency=2, initial_alphabet=sorted(alphabet),
                                  end_of_word_suffix="</w>", show_progress=False, max_token_length=16)
    tokenizer.train_from_iterator(texts, trainer)
    return [tuple(m) for m in json.loads(tokenizer.to_str())["model"]["merges"]][:ENGLISH]


def chinese_merges(texts, symbols):
    """Pairs that make the most frequent characters one token, within a word and at its end."""
    counts = collections.Counter(c for t in texts for c in HAN.findall(t))
    heads, whole = [], []
    for char, _ in counts.most_common(CHINESE):
        a, b, c = (symbols[byte] for byte in char.encode())
        if (a, b) not in heads:
            heads.append((a, b))
        whole += [(a + b, c), (a + b, c + "</w>")]
    return heads + whole


def build(scenes, root):
    symbols = byte_symbols()
    english, chinese = corpus(scenes, root)
    merges = english_merges(english) + chinese_merges(chinese, symbols)
    words = list(symbols.values()) + [s + "</w>" for s in symbols.values()]
    words += [a + b for a, b in merges] + [START, END]
    assert len(set(words)) == len(words)
    vocab = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token=END, end_of_word_suffix="</w>",
                                     continuing_subword_prefix="", fuse_unk=False))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECES), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(
        (END, vocab[END]), (START, vocab[START]), False, False)
    tokenizer.add_special_tokens([START, END])
    return tokenizer


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out")
    p.add_argument("--scenes", default="build/vitx-scenes", help="the generator")
    p.add_argument("--root", default=".", help="folder of vitx, for its texts")
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    tokenizer = build(args.scenes, args.root)
    tokenizer.save(os.path.join(args.out, "tokenizer.json"))
    config = dict(tokenizer_class="CLIPTokenizer", bos_token=START, eos_token=END, unk_token=END,
                  pad_token=END, model_max_length=CONTEXT, errors="replace", add_prefix_space=False)
    with open(os.path.join(args.out, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
    print(f"{tokenizer.get_vocab_size()} ids")


if __name__ == "__main__":
    main()
