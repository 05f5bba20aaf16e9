/*
 * text/spiece.c: SentencePiece's models, a protobuf: pieces with scores and kinds, how it was
 * trained, how a text is normalised. What is not known here is passed over, as protobuf means it.
 */
#include <stdlib.h>
#include <string.h>

#include "text/parts.h"

typedef struct message {
    const unsigned char *at, *end;
    const char *name;
} message;

typedef struct field {
    uint64_t number, value; /* value: of a varint, or the bits of a fixed one */
    message inside;         /* of a string or message */
    unsigned wire;
} field;

enum { VARINT, FIXED64, BYTES, FIXED32 = 5 };

static int damaged(const message *m)
{
    return vx_fail_in(VITX_FORMAT, m->name, "it is no model of SentencePiece, or damaged");
}

static int varint(uint64_t *out, message *m)
{
    *out = 0;
    for (int shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        const unsigned char byte = *m->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return VITX_OK;
    }
    return damaged(m);
}

static int fixed(uint64_t *out, message *m, size_t bytes)
{
    if ((size_t)(m->end - m->at) < bytes)
        return damaged(m);
    *out = 0;
    for (size_t i = 0; i < bytes; i++)
        *out |= (uint64_t)m->at[i] << (8 * i);
    m->at += bytes;
    return VITX_OK;
}

/* The next field; false at the end. */
static int next(bool *more, field *f, message *m)
{
    uint64_t key;
    *more = m->at < m->end;
    if (!*more)
        return VITX_OK;
    VX_TRY(varint(&key, m));
    *f = (field){.number = key >> 3, .wire = (unsigned)(key & 7), .inside.name = m->name};
    if (f->wire == VARINT)
        return varint(&f->value, m);
    if (f->wire == FIXED64 || f->wire == FIXED32)
        return fixed(&f->value, m, f->wire == FIXED64 ? 8 : 4);
    if (f->wire != BYTES)
        return damaged(m);
    VX_TRY(varint(&f->value, m));
    if (f->value > (uint64_t)(m->end - m->at))
        return damaged(m);
    f->inside.at = m->at;
    f->inside.end = m->at += f->value;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- what it says -- */

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE };

typedef struct piece {
    const char *text;
    size_t bytes;
    float score;
    uint64_t kind;
} piece;

typedef struct model {
    uint64_t type; /* 1 unigram, 2 BPE */
    bool byte_fallback, suffix, prefix, collapse, escape;
    int64_t end, pad;
    message charsmap;
    size_t pieces;
} model;

static int read_trainer(model *out, message m)
{
    field f;
    for (bool more;;) {
        VX_TRY(next(&more, &f, &m));
        if (!more)
            return VITX_OK;
        if (f.wire != VARINT)
            continue;
        switch (f.number) {
        case 3:
            out->type = f.value;
            break;
        case 24:
            out->suffix = f.value != 0;
            break;
        case 35:
            out->byte_fallback = f.value != 0;
            break;
        case 42:
            out->end = (int64_t)f.value;
            break;
        case 43:
            out->pad = (int64_t)f.value;
            break;
        default:
            break;
        }
    }
}

static int read_normaliser(model *out, message m)
{
    field f;
    for (bool more;;) {
        VX_TRY(next(&more, &f, &m));
        if (!more)
            return VITX_OK;
        if (f.number == 2 && f.wire == BYTES)
            out->charsmap = f.inside;
        else if (f.number == 3 && f.wire == VARINT)
            out->prefix = f.value != 0;
        else if (f.number == 4 && f.wire == VARINT)
            out->collapse = f.value != 0;
        else if (f.number == 5 && f.wire == VARINT)
            out->escape = f.value != 0;
    }
}

static int read_model(model *out, message m)
{
    field f;
    *out =
        (model){.type = 1, .prefix = true, .collapse = true, .escape = true, .end = 2, .pad = -1};
    for (bool more;;) {
        VX_TRY(next(&more, &f, &m));
        if (!more)
            break;
        if (f.wire == BYTES && f.number == 1)
            out->pieces++;
        else if (f.wire == BYTES && f.number == 2)
            VX_TRY(read_trainer(out, f.inside));
        else if (f.wire == BYTES && f.number == 3)
            VX_TRY(read_normaliser(out, f.inside));
    }
    if (out->pieces == 0 || out->pieces >= VX_IDS - 1)
        return damaged(&m);
    if (out->type != 1 && out->type != 2)
        return vx_fail_in(VITX_UNSUPPORTED, m.name,
                          "a model of SentencePiece of the type %llu (1: unigram and 2: BPE are "
                          "done here)",
                          (unsigned long long)out->type);
    if (out->suffix)
        return vx_fail_in(VITX_UNSUPPORTED, m.name, "treat_whitespace_as_suffix is not done here");
    return VITX_OK;
}

static int read_piece(piece *out, message m)
{
    field f;
    *out = (piece){.text = "", .kind = NORMAL};
    for (bool more;;) {
        VX_TRY(next(&more, &f, &m));
        if (!more)
            break;
        if (f.number == 1 && f.wire == BYTES) {
            out->text = (const char *)f.inside.at;
            out->bytes = (size_t)f.value;
        } else if (f.number == 2 && f.wire == FIXED32) {
            const uint32_t bits = (uint32_t)f.value;
            memcpy(&out->score, &bits, sizeof out->score);
        } else if (f.number == 3 && f.wire == VARINT) {
            out->kind = f.value;
        }
    }
    if (out->kind < NORMAL || out->kind > BYTE || out->bytes == 0)
        return damaged(&m);
    if (!(out->score >= -1e30f && out->score <= 1e30f))
        return vx_fail_in(VITX_FORMAT, m.name, "the score of a piece is no finite number");
    return VITX_OK;
}

/* -------------------------------------------------------------------------- pieces -------- */

typedef struct building {
    vx_tokenizer *t;
    const model *m;
    const char *name;
    int shift; /* of ids: fairseq's are one more */
    int unknown;
    float least, most; /* scores of normal pieces */
} building;

/* "<0x41>" */
static int byte_of(const piece *p)
{
    static const char hex[] = "0123456789ABCDEF";
    if (p->bytes != 6 || memcmp(p->text, "<0x", 3) != 0 || p->text[5] != '>' || !p->text[3] ||
        !p->text[4])
        return -1;
    const char *const high = strchr(hex, p->text[3]), *const low = strchr(hex, p->text[4]);
    return high && low ? (int)((high - hex) * 16 + (low - hex)) : -1;
}

static int put_matched(building *b, const piece *p, int id)
{
    vx_tokenizer *const t = b->t;
    if (p->bytes > VX_UNIGRAM_BYTES)
        return vx_fail_in(VITX_UNSUPPORTED, b->name, "a piece of %zu bytes, %d at most", p->bytes,
                          VX_UNIGRAM_BYTES);
    VX_TRY(vx_vocab_add(&t->vocab, p->text, p->bytes, id, b->name));
    t->scores[id] = p->score;
    if (p->kind == USER)
        return vx_added_put(&t->normaliser.kept, p->text, p->bytes, (vx_added_token){.id = id},
                            b->name);
    b->least = p->score < b->least ? p->score : b->least;
    b->most = p->score > b->most ? p->score : b->most;
    return VITX_OK;
}

static int put_piece(building *b, const piece *p, int place)
{
    vx_tokenizer *const t = b->t;
    const int id = place + b->shift, byte = byte_of(p);
    switch (p->kind) {
    case NORMAL:
    case USER:
        return put_matched(b, p, id);
    case UNUSED:
        if (b->m->type == 2)
            return vx_fail_in(VITX_UNSUPPORTED, b->name,
                              "a BPE with unused pieces is not done here");
        return VITX_OK;
    case BYTE:
        if (byte < 0)
            return vx_fail_in(VITX_FORMAT, b->name, "a byte's piece is not named <0x00> to <0xFF>");
        t->bytes[byte] = id;
        return VITX_OK;
    case UNKNOWN:
        if (b->unknown >= 0)
            return vx_fail_in(VITX_FORMAT, b->name, "more than one piece stands for unknown text");
        b->unknown = b->shift ? 3 : id;
        return VITX_OK;
    default:
        return VITX_OK;
    }
}

static int read_pieces(building *b, message m)
{
    field f;
    piece p;
    int place = 0;
    const size_t size = b->m->pieces + 1;
    VX_TRY(vx_new(&b->t->scores, &b->t->hooks, size, sizeof(double), "scores"));
    for (bool more;;) {
        VX_TRY(next(&more, &f, &m));
        if (!more)
            break;
        if (f.number != 1 || f.wire != BYTES)
            continue;
        VX_TRY(read_piece(&p, f.inside));
        VX_TRY(put_piece(b, &p, place++));
    }
    if (b->unknown < 0 || b->t->vocab.count == 0)
        return vx_fail_in(VITX_FORMAT, b->name, "it has no piece for unknown text, or no other");
    if (b->shift && place < 3)
        return vx_fail_in(VITX_FORMAT, b->name,
                          "%d pieces: XLM-R's begin with those for unknown text, a beginning and "
                          "an end",
                          place);
    b->t->size = place + b->shift;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- unigram ------- */

/* A piece of the user is better than any other way to cut the text: as SentencePiece scores it. */
static void user_scores(building *b)
{
    vx_tokenizer *const t = b->t;
    for (size_t i = 0; i < t->normaliser.kept.count; i++) {
        const vx_vocab_entry *const e = &t->normaliser.kept.words.entries[i];
        t->scores[t->normaliser.kept.tokens[i].id] =
            (float)((double)((float)e->length * b->most) - 0.1);
    }
}

static void finish_unigram(building *b)
{
    vx_unigram *const u = &b->t->unigram;
    user_scores(b);
    u->single = true;
    u->unknown = b->unknown;
    u->unknown_score = b->least - 10.0f;
    u->byte_fallback = b->m->byte_fallback;
}

/* -------------------------------------------------------------------------- BPE ----------- */

typedef struct scored {
    double score;
    uint32_t entry;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *const x = a, *const y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* Every way to cut a piece into two others. */
static int put_pairs(building *b, const vx_vocab_entry *e, uint32_t rank)
{
    vx_tokenizer *const t = b->t;
    const char *const text = t->vocab.bytes.data + e->offset;
    for (size_t cut = 1; cut < e->length; cut++) {
        if (((unsigned char)text[cut] & 0xc0) == 0x80)
            continue;
        const int left = vx_vocab_find(&t->vocab, text, cut);
        const int right = left < 0 ? -1 : vx_vocab_find(&t->vocab, text + cut, e->length - cut);
        if (right >= 0)
            VX_TRY(vx_bpe_add_ids(&t->bpe, left, right, e->id, rank, b->name));
    }
    return VITX_OK;
}

static int put_ranks(building *b, scored *order)
{
    vx_tokenizer *const t = b->t;
    const size_t count = t->vocab.count;
    uint32_t rank = 0;
    for (size_t i = 0; i < count; i++)
        order[i] = (scored){t->scores[t->vocab.entries[i].id], (uint32_t)i};
    qsort(order, count, sizeof *order, by_score);
    for (size_t i = 0; i < count; i++) {
        rank += i > 0 && order[i].score < order[i - 1].score;
        VX_TRY(put_pairs(b, &t->vocab.entries[order[i].entry], rank));
    }
    return VITX_OK;
}

static int finish_bpe(building *b)
{
    vx_tokenizer *const t = b->t;
    scored *order;
    t->bpe.unknown = b->unknown;
    t->bpe.fuse_unknown = true;
    t->bpe.byte_fallback = b->m->byte_fallback;
    VX_TRY(vx_new(&order, &t->hooks, t->vocab.count, sizeof *order, "scores"));
    int status = put_ranks(b, order);
    vx_release(&t->hooks, order);
    /* Pieces of the user are never joined with others. */
    for (size_t i = 0; i < t->normaliser.kept.count && status == VITX_OK; i++) {
        const vx_vocab_entry *const e = &t->normaliser.kept.words.entries[i];
        status = vx_added_put(&t->normal, t->normaliser.kept.words.bytes.data + e->offset,
                              e->length, t->normaliser.kept.tokens[i], b->name);
    }
    return status;
}

/* -------------------------------------------------------------------------- all ----------- */

static int set_rules(building *b)
{
    vx_tokenizer *const t = b->t;
    const model *const m = b->m;
    t->normaliser.steps[0] = (vx_change){.kind = VX_CHARSMAP};
    t->normaliser.steps[1] = (vx_change){.kind = VX_SPIECE_SPACE,
                                         .to = {{m->escape ? 0x2581 : ' '}, 1},
                                         .left = m->prefix,
                                         .right = m->collapse};
    t->normaliser.count = 2;
    if (b->shift) {
        t->before[t->before_count++] = 0;
        t->behind[t->behind_count++] = 2;
        t->pad = 1;
    } else if (m->end >= 0 && m->end < (int64_t)m->pieces) {
        t->behind[t->behind_count++] = (int)m->end;
    }
    if (!b->shift && m->pad >= 0 && m->pad < (int64_t)m->pieces)
        t->pad = (int)m->pad;
    return vx_charsmap_read(&t->normaliser.charsmap, (const char *)m->charsmap.at,
                            (size_t)(m->charsmap.end - m->charsmap.at), &t->hooks, b->name);
}

int vx_read_spiece(vx_tokenizer *t, const char *data, size_t bytes, const char *name, bool fairseq)
{
    const message whole = {(const unsigned char *)data, (const unsigned char *)data + bytes, name};
    model m;
    VX_TRY(read_model(&m, whole));
    building b = {t, &m, name, fairseq, -1, 1e30f, -1e30f};
    t->kind = m.type == 1 ? VX_UNIGRAM : VX_BPE;
    t->vocab.prefixes = m.type == 1;
    t->normaliser.kept.hooks = &t->hooks;
    for (int i = 0; i < 256; i++)
        t->bytes[i] = -1;
    t->has_bytes = true;
    VX_TRY(read_pieces(&b, whole));
    VX_TRY(vx_added_finish(&t->normaliser.kept));
    VX_TRY(set_rules(&b));
    if (m.type == 2)
        return finish_bpe(&b);
    finish_unigram(&b);
    return VITX_OK;
}
