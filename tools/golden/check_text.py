#!/usr/bin/env python3
"""Compares the tokens of build/release/tokenize with those of transformers, sentencepiece, open_clip and cn_clip, on generated
strings of many languages, on hostile ones, and on ImageNet's labels in English and Chinese.

    make tests && python3 tools/golden/check_text.py [--texts 100000] [--work FOLDER] [KIND...]

Needs transformers, tokenizers, sentencepiece, open_clip_torch, cn_clip. Real vocabularies are those that the packages of
open_clip and cn_clip hold; others are trained here, on words made here.
"""
import argparse
import gzip
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import unicodedata

TOOL = os.path.join(os.path.dirname(__file__), "..", "..", "build", "release", "tokenize")
NONE, LOWER, WHITESPACE, CANONICALIZE, SIGLIP, SIGLIP2 = range(6)


# ------------------------------------------------------------------------ texts ------------

# First and last code point of scripts, from which words are drawn.
SCRIPTS = [(0x61, 0x7a), (0x41, 0x5a), (0x61, 0x7a), (0x30, 0x39), (0xc0, 0x24f), (0x370, 0x3ff), (0x400, 0x4ff), (0x530, 0x58f), (0x5d0, 0x5ea),
           (0x620, 0x64a), (0x900, 0x97f), (0x980, 0x9ff), (0xb80, 0xbff), (0xe00, 0xe5b), (0x1000, 0x109f), (0x10a0, 0x10ff), (0x1100, 0x11ff),
           (0x1200, 0x137f), (0x1e00, 0x1eff), (0x1f00, 0x1fff), (0x3040, 0x30ff), (0x4e00, 0x9fff), (0x4e00, 0x5fff), (0xac00, 0xd7a3),
           (0xff01, 0xff5e), (0x1f300, 0x1f64f), (0x20000, 0x2a6df), (0x1d400, 0x1d7ff)]
SPACES = [" ", " ", " ", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085", "\u200b", " \u00a0 "]
MARKS = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + list("。，、！？「」《》…—“”‘’¿¡·•€£°§¶™©®½²³№") + ["...", "--", "'s", "'t", "'re", "'S", "'ll", "n't"]
ODD = ["\u0301", "\u0327", "\u200d", "\ufe0f", "\u202e", "\u2066", "\ufeff", "\ufffd", "\u00ad", "\u0000", "\u0001", "\u007f", "\u009f", "\ue000",
       "\U0010ffff", "\ufdfa", "\u0130", "\u0131", "\u1e9e", "\u03a3", "\u03c2", "\u017f", "\ufb01", "\u0149", "\u212a", "\u2126", "\uac00\u11a8",
       "\u1100\u1161\u11a8", "\u0f73", "\u0958", "\u2adc", "\u2581", "\u2581\u2581", "<|endoftext|>", "<|startoftext|>", "[CLS]", "[MASK]", "<s>",
       "</s>", "<unk>", "<pad>", "<eos>", "<0x41>", "&amp;", "👨‍👩‍👧‍👦", "🏳️‍🌈", "é", "e\u0301\u0327", "\u0928\u093c", "##"]
COMMON = """a photo of the cat dog on in at red car night street two three people with and is it's bird flying over water small large close-up image
picture drawing painting one eating running house tree green blue yellow 一张 照片 狗 猫 的 在 上 红色 汽车 夜晚 图片 の 写真 犬 고양이 사진 une photo d'un chat
кошка собака на фото foto eines Hundes perro gato μια φωτογραφία""".split()


def script_word(rng):
    first, last = rng.choice(SCRIPTS)
    out = []
    for _ in range(rng.randint(1, 9)):
        c = chr(rng.randint(first, last))
        out.append(c if rng.random() < 0.9 else c.upper())
    return "".join(out)


def text_of(rng):
    """One text: mostly like people write, some hostile."""
    kind = rng.random()
    if kind < 0.03:
        return "".join(chr(c) for c in (rng.randint(0, 0x2fff if rng.random() < 0.7 else 0x10ffff) for _ in range(rng.randint(1, 30)))
                       if not 0xd800 <= c <= 0xdfff)
    if kind < 0.05:
        return rng.choice(["a", "ab", " ", "!", "é", "狗", "🙂", "▁", "1", "\u0301"]) * rng.randint(1, 300)
    parts = []
    for _ in range(rng.randint(1, 12)):
        draw = rng.random()
        if draw < 0.45:
            word = rng.choice(COMMON)
            parts.append(word.capitalize() if rng.random() < 0.2 else word.upper() if rng.random() < 0.05 else word)
        elif draw < 0.75:
            parts.append(script_word(rng))
        elif draw < 0.88:
            parts.append(rng.choice(MARKS) * rng.choice([1, 1, 1, 2, 5]))
        elif draw < 0.94:
            parts.append(str(rng.randint(0, 10 ** rng.randint(1, 9))))
        else:
            parts.append(rng.choice(ODD))
        if rng.random() < 0.8:
            parts.append(rng.choice(SPACES) if rng.random() < 0.3 else " ")
    return "".join(parts)


def texts_of(count, seed=18):
    rng = random.Random(seed)
    texts = ["", " ", "\n", "a", "A", "\u0000", "\ufeff", "a photo of a cat"] + MARKS + ODD
    return (texts + [text_of(rng) for _ in range(count)])[:count]


def labels():
    """ImageNet's labels in sentences: English ones of open_clip, Chinese ones of cn_clip."""
    from cn_clip.eval.imagenet_zeroshot_templates import imagenet_classnames, openai_imagenet_template
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES
    english = list(IMAGENET_CLASSNAMES) + [t(n) for n in IMAGENET_CLASSNAMES for t in OPENAI_IMAGENET_TEMPLATES]
    chinese = list(imagenet_classnames) + [t(n) for n in imagenet_classnames for t in openai_imagenet_template]
    return english, chinese


# ------------------------------------------------------------------------ ours -------------

def ours(folder, clean, limit, texts):
    data = b"".join(struct.pack("=I", len(b)) + b for b in (t.encode("utf-8") for t in texts))
    done = subprocess.run([TOOL, folder, str(clean), str(limit)], input=data, stdout=subprocess.PIPE, check=True)
    out, at, got = [], 0, done.stdout
    for _ in texts:
        (n,) = struct.unpack_from("=I", got, at)
        flat = struct.unpack_from("=%dI" % (3 * n), got, at + 4)
        out.append([flat[i:i + 3] for i in range(0, 3 * n, 3)])
        at += 4 + 12 * n
    assert at == len(got)
    return out


def byte_places(text):
    places = [0]
    for c in text:
        places.append(places[-1] + len(c.encode("utf-8")))
    return places


def compare(what, texts, mine, theirs, offsets=None, show=6, known=None, ties=False):
    """Counts texts with other ids, and, where those agree, tokens with other places."""
    wrong = excused = tied = 0
    for text, a, b in zip(texts, mine, theirs):
        if [t[0] for t in a] == list(b):
            continue
        if ties and sorted(t[0] for t in a) == sorted(b):
            tied += 1
            continue
        if known and known(text):
            excused += 1
            continue
        wrong += 1
        if wrong <= show:
            print("   ", repr(text)[:120], "\n      ours  ", [t[0] for t in a][:40], "\n      theirs", list(b)[:40])
    line = f"{what}: {wrong} of {len(texts)} differ" + (f", {excused} more of a known kind" if excused else "") + (f", {tied} more have the same tokens in another order" if tied else "")
    if offsets:
        tokens = equal = wider = 0
        shown = 0
        for text, a, b, places in zip(texts, mine, theirs, offsets):
            if [t[0] for t in a] != list(b) or (known and known(text)):
                continue
            p = byte_places(text)
            for t, (s, e) in zip(a, places):
                tokens += 1
                s, e = p[s], p[e]
                if (t[1], t[2]) == (s, e) or (s == e and t[1] == t[2]):
                    equal += 1
                elif t[1] <= s and t[2] >= e:
                    wider += 1
                elif shown < show:
                    shown += 1
                    print("    place", repr(text)[:100], t, (s, e))
        line += f"; places: {equal} of {tokens} equal, {wider} wider, {tokens - equal - wider} other"
    print(line, flush=True)
    return wrong


def fast(tokenizer, texts, **more):
    """ids and places of a fast tokenizer of transformers or of tokenizers.Tokenizer."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    ids, places = [], []
    for i in range(0, len(texts), 2000):
        for e in backend.encode_batch(texts[i:i + 2000]):
            ids.append(e.ids)
            places.append(e.offsets)
    return ids, places


# ------------------------------------------------------------------------ kinds ------------

def byte_symbols():
    own = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    return [chr(b) for b in own] + [chr(256 + i) for i in range(256 - len(own))]


def clip_files(work):
    """CLIP's vocabulary, which open_clip's package holds, in each of the three forms."""
    import open_clip
    from transformers import CLIPTokenizerFast
    source = os.path.join(os.path.dirname(open_clip.__file__), "bpe_simple_vocab_16e6.txt.gz")
    lines = gzip.open(source).read().decode("utf-8").split("\n")[1:49152 - 256 - 2 + 1]
    symbols = byte_symbols()
    words = symbols + [s + "</w>" for s in symbols] + ["".join(line.split()) for line in lines] + ["<|startoftext|>", "<|endoftext|>"]
    vocab = {w: i for i, w in enumerate(words)}
    folders = [os.path.join(work, "clip_" + f) for f in ("json", "files", "gz")]
    for folder in folders:
        os.makedirs(folder, exist_ok=True)
    fast_tokenizer = CLIPTokenizerFast(vocab=vocab, merges=[tuple(line.split()) for line in lines])
    fast_tokenizer.save_pretrained(folders[0])
    with open(os.path.join(folders[1], "vocab.json"), "w", encoding="utf-8") as f:
        json.dump(vocab, f, ensure_ascii=False)
    with open(os.path.join(folders[1], "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "\n".join(lines) + "\n")
    shutil.copy(source, folders[2])
    return folders, fast_tokenizer


def old_nfc(text):
    """Whether the Rust tokenizers, whose Unicode is older, compose or order characters in another way than Unicode 14."""
    from tokenizers import normalizers
    return normalizers.NFC().normalize_str(text) != unicodedata.normalize("NFC", text)


def check_clip(work, texts, english, chinese):
    from open_clip import SimpleTokenizer
    folders, tokenizer = clip_files(work)
    for texts_of_kind, name in ((texts, "generated"), (english, "English labels"), (chinese, "Chinese labels")):
        ids, places = fast(tokenizer, texts_of_kind)
        for folder in folders:
            compare(f"{os.path.basename(folder)}, {name}, transformers", texts_of_kind, ours(folder, NONE, 0, texts_of_kind), ids, places, known=old_nfc)
    simple = SimpleTokenizer()
    for texts_of_kind, name in ((texts, "generated"), (english, "English labels"), (chinese, "Chinese labels")):
        theirs = [[49406] + simple.encode(t) + [49407] for t in texts_of_kind]
        compare(f"clip_gz, {name}, open_clip's SimpleTokenizer", texts_of_kind, ours(folders[2], LOWER, 0, texts_of_kind), theirs,
                known=lambda t: ftfied(t))
        cut = [t for t in texts_of_kind if len(t) > 100][:200]
        theirs = simple(cut).tolist() if cut else []
        mine = ours(folders[2], LOWER, 77, cut)
        mine = [m + [(0, 0, 0)] * (77 - len(m)) for m in mine]
        compare(f"clip_gz, {name}, cut to 77", cut, mine, theirs, known=lambda t: ftfied(t))
    simple = SimpleTokenizer(clean="canonicalize")
    theirs = [[49406] + simple.encode(t) + [49407] for t in english + texts]
    compare("clip_gz, all, open_clip's canonicalize", english + texts, ours(folders[2], CANONICALIZE, 0, english + texts), theirs, known=lambda t: ftfied(t))


def ftfied(text):
    """Whether ftfy, HTML entities or Python's idea of white space change a text, or a special token or 'S of long s is in it."""
    import html
    import ftfy
    if ftfy.fix_text(text) != text or html.unescape(text) != text:
        return True
    special = "<|" in text or "_of_text" in text or "ſ" in text or "\u212a" in text
    return special or any(c in text for c in "\x1c\x1d\x1e\x1f") or unicodedata.normalize("NFC", text) != text or old_nfc(text)


# Versions of Unicode that know less than the one of utf8proc: those of the Rust tokenizers, of Python.
def newer(text):
    """Whether a character is in a category that the Rust tokenizers' tables (of Unicode 8 or so) do not know."""
    return any(ord(c) > 0x7f and is_new(c) for c in text)


OLD = {}


def is_new(c):
    if c not in OLD:
        from tokenizers import normalizers, pre_tokenizers
        n = normalizers.BertNormalizer(True, False, True, False).normalize_str("a" + c + "b")
        category = unicodedata.category(c)
        cut = len(pre_tokenizers.BertPreTokenizer().pre_tokenize_str("a" + c + "b")) == 3
        if cut != category.startswith("P") and not category.startswith("Z"):
            OLD[c] = True
        elif category == "Mn":
            OLD[c] = n != "ab"
        elif category == "Cf":
            OLD[c] = n != "ab"
        elif category.startswith("P"):
            OLD[c] = len(pre_tokenizers.BertPreTokenizer().pre_tokenize_str("a" + c + "b")) != 3
        else:
            OLD[c] = n != unicodedata.normalize("NFD", "a" + c + "b")
    return OLD[c]


def check_bert(work, texts, english, chinese):
    import cn_clip
    from cn_clip.clip.bert_tokenizer import FullTokenizer
    from transformers import BertTokenizerFast
    source = os.path.join(os.path.dirname(cn_clip.__file__), "clip", "vocab.txt")
    folder, as_json = os.path.join(work, "bert_txt"), os.path.join(work, "bert_json")
    os.makedirs(folder, exist_ok=True)
    shutil.copy(source, os.path.join(folder, "vocab.txt"))
    # Lines end in "\n" alone; Python's own reader of lines would end them at U+2028, too.
    words = open(source, encoding="utf-8", newline="\n").read().split("\n")
    vocab = {w: i for i, w in enumerate(words[:-1])}
    tokenizer = BertTokenizerFast(vocab=vocab)
    tokenizer.save_pretrained(as_json)
    for kind, name in ((texts, "generated"), (english, "English labels"), (chinese, "Chinese labels")):
        ids, places = fast(tokenizer, kind)
        for f in (folder, as_json):
            compare(f"{os.path.basename(f)}, {name}, transformers", kind, ours(f, NONE, 0, kind), ids, places, known=newer)
    full = FullTokenizer()
    for kind, name in ((texts, "generated"), (english, "English labels"), (chinese, "Chinese labels")):
        theirs = [[101] + full.convert_tokens_to_ids(full.tokenize(t)) + [102] for t in kind]
        compare(f"bert_txt, {name}, cn_clip", kind, ours(folder, NONE, 0, kind), theirs, known=other_in_cn_clip)


def other_in_cn_clip(text):
    """Private use characters stay, specials are no tokens, words of 101 to 200 characters are known, ideographs of one range are apart."""
    return (newer(text) or any(unicodedata.category(c) in ("Co", "Cn", "Cf", "Cc") or 0x2b820 <= ord(c) < 0x2b920 for c in text) or "[" in text
            or "Σ" in text or "İ" in text or any(len(w) > 100 for w in text.split()))


def train_spiece(work, name, english, chinese, **more):
    import sentencepiece
    folder = os.path.join(work, name)
    os.makedirs(folder, exist_ok=True)
    prefix = os.path.join(folder, "m")
    rng = random.Random(3)
    corpus = english[:20000:3] + chinese[:20000:3] + [text_of(rng).replace("\0", "") for _ in range(6000)]
    with open(os.path.join(folder, "corpus"), "w", encoding="utf-8", newline="\n") as f:
        f.write("\n".join(t.replace("\n", " ").replace("\r", " ") for t in corpus))
    sentencepiece.SentencePieceTrainer.train(input=os.path.join(folder, "corpus"), model_prefix=prefix, minloglevel=2,
                                             character_coverage=0.98, max_sentence_length=20000, num_threads=2, **more)
    os.remove(os.path.join(folder, "corpus"))
    os.remove(prefix + ".vocab")
    os.replace(prefix + ".model", os.path.join(folder, "spiece.model"))
    return folder, sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, "spiece.model"))


def check_spiece(work, texts, english, chinese):
    makes = {"uni_nmt": dict(model_type="unigram", normalization_rule_name="nmt_nfkc", vocab_size=8000),
             "uni_identity": dict(model_type="unigram", normalization_rule_name="identity", vocab_size=8000, add_dummy_prefix=False, remove_extra_whitespaces=False),
             "uni_bytes": dict(model_type="unigram", normalization_rule_name="nmt_nfkc_cf", vocab_size=8000, byte_fallback=True, user_defined_symbols=["<dog>", "of the"]),
             "bpe_nmt": dict(model_type="bpe", normalization_rule_name="nmt_nfkc", vocab_size=8000),
             "bpe_bytes": dict(model_type="bpe", normalization_rule_name="identity", vocab_size=8000, byte_fallback=True, add_dummy_prefix=False,
                               remove_extra_whitespaces=False, user_defined_symbols=["\u2581\u2581", "<dog>", "\n\n"], pad_id=0, eos_id=1, bos_id=2, unk_id=3)}
    for name, make in makes.items():
        folder, sp = train_spiece(work, name, english, chinese, **make)
        for kind, what in ((texts, "generated"), (english[::4], "English labels"), (chinese[::4], "Chinese labels")):
            theirs = [ids + ([sp.eos_id()] if sp.eos_id() >= 0 else []) for ids in sp.encode(kind)]
            compare(f"{name}, {what}, sentencepiece", kind, ours(folder, NONE, 0, kind), theirs, known=lambda t: "\0" in t)


def model_of(folder):
    from sentencepiece import sentencepiece_model_pb2
    m = sentencepiece_model_pb2.ModelProto()
    m.ParseFromString(open(os.path.join(folder, "spiece.model"), "rb").read())
    return m


def check_xlmr(work, texts, english, chinese):
    """XLM-R's form of tokenizer.json, made of a unigram model by the class that AltCLIP and MetaCLIP 2 use."""
    from tokenizers import Regex, normalizers
    from transformers import XLMRobertaTokenizer
    folder, _ = train_spiece(work, "uni_nmt", english, chinese, model_type="unigram", normalization_rule_name="nmt_nfkc", vocab_size=8000)
    m = model_of(folder)
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [(p.piece, p.score) for p in m.pieces[3:]] + [("<mask>", 0.0)]
    tokenizer = XLMRobertaTokenizer(vocab=pieces)
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence([normalizers.Precompiled(m.normalizer_spec.precompiled_charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
    as_json = os.path.join(work, "xlmr_json")
    os.makedirs(as_json, exist_ok=True)
    tokenizer.save_pretrained(as_json)
    for kind, name in ((texts, "generated"), (english[::4], "English labels"), (chinese[::4], "Chinese labels")):
        ids, places = fast(tokenizer, kind)
        compare(f"xlmr_json, {name}, transformers", kind, ours(as_json, NONE, 0, kind), ids, places)


def check_gemma(work, texts, english, chinese):
    """Gemma's form of tokenizer.json, by the class of SigLIP 2."""
    from transformers import Siglip2Tokenizer
    folder, _ = train_spiece(work, "bpe_bytes", english, chinese, model_type="bpe", normalization_rule_name="identity", vocab_size=8000, byte_fallback=True,
                             add_dummy_prefix=False, remove_extra_whitespaces=False, user_defined_symbols=["\u2581\u2581", "<dog>", "\n\n"], pad_id=0, eos_id=1, bos_id=2,
                             unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>")
    m = model_of(folder)
    vocab = {p.piece: i for i, p in enumerate(m.pieces)}
    vocab["<mask>"] = len(vocab)
    scores = {p.piece: p.score for p in m.pieces if p.type == 1}
    merges = sorted((-scores[p], p[:k], p[k:]) for p in scores for k in range(1, len(p)) if p[:k] in scores and p[k:] in scores)
    tokenizer = Siglip2Tokenizer(vocab=vocab, merges=[(a, b) for _, a, b in merges])
    tokenizer.add_tokens(["\n\n", "\u2581\u2581", "<dog>"])
    as_json = os.path.join(work, "gemma_json")
    os.makedirs(as_json, exist_ok=True)
    tokenizer.save_pretrained(as_json)
    for kind, name in ((texts, "generated"), (english[::4], "English labels"), (chinese[::4], "Chinese labels")):
        ids, places = fast(tokenizer, kind)
        compare(f"gemma_json, {name}, transformers", kind, ours(as_json, SIGLIP2, 0, kind), ids, places)


def check_siglip(work, texts, english, chinese):
    """spiece.model as the slow class of SigLIP reads it."""
    from transformers import SiglipTokenizer
    folder, _ = train_spiece(work, "siglip", english, chinese, model_type="unigram", normalization_rule_name="nmt_nfkc", vocab_size=8000, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    tokenizer = SiglipTokenizer(os.path.join(folder, "spiece.model"))
    for kind, name in ((texts[:20000], "generated"), (english[::8], "English labels"), (chinese[::8], "Chinese labels")):
        theirs = [tokenizer(t)["input_ids"] for t in kind]
        compare(f"siglip, {name}, transformers", kind, ours(folder, SIGLIP, 0, kind), theirs, ties=True, known=lambda t: "<" in t or "\0" in t or any(c in t for c in "\x1c\x1d\x1e\x1f"))


KINDS = {"clip": check_clip, "bert": check_bert, "spiece": check_spiece, "xlmr": check_xlmr, "gemma": check_gemma, "siglip": check_siglip}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=100000)
    parser.add_argument("--work", default="/tmp/check_text")
    parser.add_argument("--tool", default=TOOL)
    parser.add_argument("kinds", nargs="*", default=[])
    given = parser.parse_args()
    globals()["TOOL"] = given.tool
    texts = texts_of(given.texts)
    english, chinese = labels()
    for kind in given.kinds or KINDS:
        KINDS[kind](given.work, texts, english, chinese)


if __name__ == "__main__":
    sys.exit(main())
