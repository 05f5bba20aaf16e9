#!/usr/bin/env python3
"""Writes test/golden/text: small tokenizers in each form that is read, and what transformers' Rust tokenizers and sentencepiece make
of some texts with them.

    python3 tools/golden/make_text.py        (needs transformers, tokenizers, sentencepiece)

Each folder holds the files of a tokenizer and `cases`: for each text 32 bits, its length in bytes, the text, 32 bits, the number of
tokens, and for each token its id and the bytes at which it begins and ends, in 32 bits each, little-endian. A place of 2^32 - 1 is
one that is not compared: it is another one here, because a character that was put together from several stands for all of them, or
because sentencepiece says none.
"""
import json
import os
import random
import shutil
import struct
import sys
import tempfile

import sentencepiece
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

sys.path.insert(0, os.path.dirname(__file__))
import check_text as check

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "test", "golden", "text")
NOWHERE = 2 ** 32 - 1
CORPUS = """a photo of a cat . a photo of the dog ! it's a red car at night , and two birds flying over the water . a bad photo of many small
things ; the origami bird in the toy house . naïve café , façade , über . 一张猫的照片。 一张狗的照片。 一只沙滩上的牛 ， 红色的汽车 ！ 夜晚的城市 街道 鸟 飞过 水面 。 кошка на фото , собака и
дом . γάτα στη φωτογραφία . 猫の写真 、 犬の写真 。 고양이 사진 . 12 30 2024 7 99 hello world""".split("\n")
TEXTS = ["", " ", "a photo of a cat", "A PHOTO of a Dog!", "it's  a\tred car,\nat night", "we'll they've I'D you're", "naïve café", "cafe\u0301 nai\u0308ve",
         "一张猫的照片。", "一只沙滩上的牛，红色的汽车！", "кошка на фото", "ΓΆΤΑ ΣΤΗ ΦΩΤΟΓΡΑΦΊΑ ΟΔΟΣ", "猫の写真、犬", "고양이 사진", "\u1100\u1161\u11a8 각", "12:30 2024 x7",
         "hello world!", "🙂👨‍👩‍👧‍👦 🏳️‍🌈", "a\u0000b", "\ufffd\ufeff\u200b\u00ad", "\u202eabc\u202c \u2066x\u2069", "İstanbul Iı ẞ ß ſ K Å",
         "Ａ１！　ﬁ ﷺ ㍍ ①", "  leading and trailing  ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "!!!???...---", "<|endoftext|> cat <|startoftext|>", "a<|endoftext|>b", "[CLS] cat [MASK] [SEP]", "<s> cat </s> <unk> <pad> <mask>", "the<mask> dog  <mask>x",
         "<dog> big<dog>ger of the", "▁▁x ▁y▁", "\n\nnew\n\n\nlines", "x\u0323\u0307 x\u0307\u0323", "\u0928\u093c \u0958", "&amp; “quotes” ‘it’s’ — –", "snake_case word-with-dash",
         "\x85next\u2028line\u3000wide", "Zürich Ångström", "q̣̇", "\U0001d4d0\U0001d4d1 \U00020000\U0002a6df", "ภาพแมว", "हिन्दी चित्र", "صورة قطة", "תמונה של חתול"]


def put(folder, texts, ids, places):
    with open(os.path.join(OUT, folder, "cases"), "wb") as f:
        for text, i, p in zip(texts, ids, places):
            data = text.encode("utf-8")
            f.write(struct.pack("<I", len(data)) + data + struct.pack("<I", len(i)))
            for id_, (start, end) in zip(i, p):
                f.write(struct.pack("<III", id_, start, end))


def in_bytes(text, places):
    at = check.byte_places(text)
    return [(at[s], at[e]) for s, e in places]


def by_tokenizers(folder, tokenizer, texts=TEXTS):
    """Places that ours are to have, too: for what was put together or stands for several, the ours are wider, which check_text.py counts."""
    ids, places = [], []
    for text in texts:
        e = tokenizer.encode(text)
        ids.append(e.ids)
        places.append(in_bytes(text, e.offsets) if check.unicodedata.normalize("NFC", text) == text and "q" not in text else [(NOWHERE, NOWHERE)] * len(e.ids))
    put(folder, texts, ids, places)


def fresh(folder):
    path = os.path.join(OUT, folder)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def shorten(path):
    """Without the spaces of indentation."""
    with open(path, encoding="utf-8") as f:
        data = json.load(f)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(data, f, ensure_ascii=False, separators=(",", ":"))


def clip():
    path = fresh("clip")
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""), "removed", True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    alphabet = check.byte_symbols()
    t.train_from_iterator(CORPUS * 20, trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False))
    made = json.loads(t.to_str())
    # As CLIP's: the bytes, the bytes that end a word, what is merged, the specials.
    merges = [tuple(m) for m in made["model"]["merges"]]
    words = alphabet + [a + "</w>" for a in alphabet]
    for a, b in merges:
        if a + b not in words:
            words.append(a + b)
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {w: i for i, w in enumerate(words)}
    merges = [(a, b) for a, b in merges if a in vocab and b in vocab]
    t.model = models.BPE(vocab=vocab, merges=merges, end_of_word_suffix="</w>", unk_token="<|endoftext|>", continuing_subword_prefix="")
    t.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", vocab["<|endoftext|>"]), ("<|startoftext|>", vocab["<|startoftext|>"]), False, False)
    t.save(os.path.join(path, "tokenizer.json"))
    shorten(os.path.join(path, "tokenizer.json"))
    by_tokenizers("clip", t)
    files = fresh("clip_files")
    with open(os.path.join(files, "vocab.json"), "w", encoding="utf-8") as f:
        json.dump(vocab, f, separators=(",", ":"))
    with open(os.path.join(files, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    by_tokenizers("clip_files", t)


def bert():
    path = fresh("bert")
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(CORPUS * 20, trainers.WordPieceTrainer(vocab_size=600, special_tokens=specials, show_progress=False))
    words = sorted(t.get_vocab().items(), key=lambda w: w[1])
    with open(os.path.join(path, "vocab.txt"), "w", encoding="utf-8", newline="\n") as f:
        f.write("".join(w + "\n" for w, _ in words[:300]) + "\u2028\n##\u2028\n" + "".join(w + "\n" for w, _ in words[300:]))
    lines = open(os.path.join(path, "vocab.txt"), encoding="utf-8", newline="\n").read().split("\n")[:-1]
    vocab = {w: i for i, w in enumerate(lines)}
    t.model = models.WordPiece(vocab=vocab, unk_token="[UNK]", max_input_chars_per_word=100)
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])])
    by_tokenizers("bert", t)
    other = fresh("bert_json")
    t.save(os.path.join(other, "tokenizer.json"))
    shorten(os.path.join(other, "tokenizer.json"))
    by_tokenizers("bert_json", t)


RULES = {"Ａ": "A", "１": "1", "！": "!", "ﬁ": "fi", "\u3000": " ", "\t": " ", "\n": " ", "e\u0301": "é", "①": "1", "㍍": "メートル", "\u200b": "", "\ufeff": "", "\u00ad": "", "．．．": "…"}


def spiece(folder, **more):
    path = fresh(folder)
    with tempfile.TemporaryDirectory() as work:
        with open(os.path.join(work, "corpus"), "w", encoding="utf-8") as f:
            f.write("\n".join(CORPUS * 30))
        with open(os.path.join(work, "rules.tsv"), "w", encoding="utf-8") as f:
            for a, b in RULES.items():
                f.write(" ".join("%X" % ord(c) for c in a) + "\t" + " ".join("%X" % ord(c) for c in b) + "\n")
        if more.pop("rules", True):
            more["normalization_rule_tsv"] = os.path.join(work, "rules.tsv")
        else:
            more["normalization_rule_name"] = "identity"
        sentencepiece.SentencePieceTrainer.train(input=os.path.join(work, "corpus"), model_prefix=os.path.join(work, "m"), minloglevel=2, hard_vocab_limit=False,
                                                 character_coverage=0.999, **more)
        shutil.copy(os.path.join(work, "m.model"), os.path.join(path, "spiece.model"))
    sp = sentencepiece.SentencePieceProcessor(model_file=os.path.join(path, "spiece.model"))
    texts = [t for t in TEXTS if "\0" not in t]
    ids, places = [], []
    for text in texts:
        proto = sp.encode(text, return_type="proto")
        ids.append([p.id for p in proto.pieces] + [sp.eos_id()])
        n = len(text.encode("utf-8"))
        other = any(c in text for c in ("\u200b", "ﬁ", "㍍", "of the"))
        places.append([(NOWHERE, NOWHERE) if other or p.piece.startswith("<0x") else (p.begin, p.end) for p in proto.pieces] + [(n, n)])
    put(folder, texts, ids, places)
    return sp, os.path.join(path, "spiece.model")


def charsmap_of(model):
    from sentencepiece import sentencepiece_model_pb2
    m = sentencepiece_model_pb2.ModelProto()
    m.ParseFromString(open(model, "rb").read())
    return m


def xlmr(model):
    """XLM-R's form: the unigram's pieces behind fairseq's specials."""
    path = fresh("xlmr")
    m = charsmap_of(model)
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [(p.piece, p.score) for p in m.pieces[3:]] + [("<mask>", 0.0)]
    t = Tokenizer(models.Unigram(pieces, unk_id=3))
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(m.normalizer_spec.precompiled_charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")])
    from tokenizers import AddedToken
    t.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)])
    t.add_tokens([AddedToken("Dog", single_word=True, normalized=True)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    t.save(os.path.join(path, "tokenizer.json"))
    shorten(os.path.join(path, "tokenizer.json"))
    by_tokenizers("xlmr", t)


def gemma(model):
    """Gemma's form: BPE over the whole text, with the bytes of what is unknown."""
    path = fresh("gemma")
    m = charsmap_of(model)
    pieces = [p.piece for p in m.pieces]
    vocab = {p: i for i, p in enumerate(pieces)}
    scores = {p.piece: p.score for p in m.pieces if p.type == 1}
    merges = sorted(((-scores[p], len(p[:k]), p[:k], p[k:]) for p in scores for k in range(1, len(p)) if p[:k] in scores and p[k:] in scores))
    t = Tokenizer(models.BPE(vocab=vocab, merges=[(a, b) for _, _, a, b in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Replace(" ", "\u2581")
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.add_special_tokens(["<pad>", "<eos>", "<bos>", "<unk>"])
    t.add_tokens(["\n\n", "\u2581\u2581", "<dog>"])
    t.post_processor = processors.TemplateProcessing(single="$A <eos>", pair="$A <eos> $B <eos>", special_tokens=[("<eos>", vocab["<eos>"])])
    t.save(os.path.join(path, "tokenizer.json"))
    shorten(os.path.join(path, "tokenizer.json"))
    by_tokenizers("gemma", t)


def main():
    random.seed(1)
    clip()
    bert()
    _, model = spiece("unigram", model_type="unigram", vocab_size=500, pad_id=-1)
    xlmr(model)
    spiece("unigram_bytes", model_type="unigram", vocab_size=700, rules=False, byte_fallback=True, user_defined_symbols=["<dog>", "of the"], add_dummy_prefix=False,
           remove_extra_whitespaces=False)
    _, model = spiece("bpe_bytes", model_type="bpe", vocab_size=700, rules=False, byte_fallback=True, user_defined_symbols=["\n\n", "\u2581\u2581", "<dog>"], add_dummy_prefix=False,
                      remove_extra_whitespaces=False, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>")
    gemma(model)
    spiece("bpe", model_type="bpe", vocab_size=500)


if __name__ == "__main__":
    main()
