/*
 * base/json.c: JSON in two passes.
 *
 * First a scan that allocates nothing: the grammar of RFC 8259, UTF-8, nesting and the number of
 * values. cJSON alone would accept "01" and raw control characters, would cut a name at \u0000,
 * and takes some 100 bytes for the two of "1,". Then cJSON builds the tree, which can only fail
 * for want of memory. Last, every object's members are sorted by key (a merge sort of the list
 * itself, so again nothing is allocated), and equal neighbours are refused.
 */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#define MAX_DEPTH 64
#define MAX_DIGITS 60 /* cJSON copies a number into 64 bytes */

/* -------------------------------------------------------------------------- UTF-8 --------- */

/* Bytes of the UTF-8 character at p (Unicode 15, table 3-7), 0 where there is none. */
static size_t utf8_character(const unsigned char *p, size_t left)
{
    if (left == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    const size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    const bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    const bool surrogate = p[0] == 0xed && p[1] > 0x9f;
    const bool beyond = p[0] == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : n;
}

bool vx_utf8_valid(const char *text, size_t bytes)
{
    for (size_t i = 0, n; i < bytes; i += n)
        if ((n = utf8_character((const unsigned char *)text + i, bytes - i)) == 0)
            return false;
    return true;
}

/* -------------------------------------------------------------------------- the scan ------ */

typedef struct scanner {
    const unsigned char *at, *end, *start;
    const char *name;
    size_t values, max_values;
} scanner;

static int refuse(const scanner *s, const char *what)
{
    size_t line = 1;
    for (const unsigned char *p = s->start; p < s->at; p++)
        line += *p == '\n';
    return vx_fail_in(VITX_FORMAT, s->name, "no valid JSON, line %zu: %s", line, what);
}

static int peek(const scanner *s)
{
    return s->at < s->end ? *s->at : -1;
}

static void skip_space(scanner *s)
{
    while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' || peek(s) == '\r')
        s->at++;
}

/* The four hex digits of a \u escape; -1 where they are not there. */
static long hex4(scanner *s)
{
    long code = 0;
    if (s->end - s->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const int c = *s->at++, lower = c | 0x20;
        if (c >= '0' && c <= '9')
            code = code * 16 + (c - '0');
        else if (lower >= 'a' && lower <= 'f')
            code = code * 16 + (lower - 'a' + 10);
        else
            return -1;
    }
    return code;
}

static int scan_escape(scanner *s)
{
    const int c = peek(s);
    if (c <= 0 || !strchr("\"\\/bfnrtu", c)) /* strchr finds the terminator, too */
        return refuse(s, "an unknown escape");
    s->at++;
    if (c != 'u')
        return VITX_OK;
    const long code = hex4(s);
    if (code < 0)
        return refuse(s, "\\u without four hex digits");
    if (code == 0)
        return refuse(s, "a zero byte in a string");
    if (code >= 0xdc00 && code <= 0xdfff)
        return refuse(s, "half a surrogate pair");
    if (code >= 0xd800 && code <= 0xdbff) {
        if (s->end - s->at < 2 || s->at[0] != '\\' || s->at[1] != 'u')
            return refuse(s, "half a surrogate pair");
        s->at += 2;
        const long low = hex4(s);
        if (low < 0xdc00 || low > 0xdfff)
            return refuse(s, "half a surrogate pair");
    }
    return VITX_OK;
}

static int scan_string(scanner *s)
{
    if (peek(s) != '"')
        return refuse(s, "a string was expected");
    s->at++;
    for (;;) {
        const int c = peek(s);
        if (c < 0)
            return refuse(s, "a string without its end");
        if (c < 0x20)
            return refuse(s, "a control character in a string");
        if (c == '"') {
            s->at++;
            return VITX_OK;
        }
        if (c == '\\') {
            s->at++;
            VX_TRY(scan_escape(s));
            continue;
        }
        const size_t n = utf8_character(s->at, (size_t)(s->end - s->at));
        if (n == 0)
            return refuse(s, "bytes that are not UTF-8");
        s->at += n;
    }
}

static bool skip_digits(scanner *s)
{
    const unsigned char *const first = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at > first;
}

static int scan_number(scanner *s)
{
    const unsigned char *const first = s->at;
    if (peek(s) == '-')
        s->at++;
    const unsigned char *const whole = s->at;
    if (!skip_digits(s))
        return refuse(s, "a value was expected");
    if (*whole == '0' && s->at - whole > 1)
        return refuse(s, "a number with a leading zero");
    if (peek(s) == '.') {
        s->at++;
        if (!skip_digits(s))
            return refuse(s, "a number without digits after its point");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (!skip_digits(s))
            return refuse(s, "a number without digits in its exponent");
    }
    if (s->at - first > MAX_DIGITS)
        return refuse(s, "a number of more than 60 characters");
    return VITX_OK;
}

static int scan_word(scanner *s, const char *word)
{
    const size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return refuse(s, "a value was expected");
    s->at += n;
    return VITX_OK;
}

static int scan_value(scanner *s, int depth);

/* The members between { } or [ ]. */
static int scan_members(scanner *s, int depth, bool object)
{
    const int close = object ? '}' : ']';
    if (depth >= MAX_DEPTH)
        return refuse(s, "nested more than 64 deep");
    s->at++;
    skip_space(s);
    if (peek(s) == close) {
        s->at++;
        return VITX_OK;
    }
    for (;;) {
        if (object) {
            skip_space(s);
            VX_TRY(scan_string(s));
            skip_space(s);
            if (peek(s) != ':')
                return refuse(s, "':' was expected");
            s->at++;
        }
        VX_TRY(scan_value(s, depth + 1));
        skip_space(s);
        const int c = peek(s);
        if (c != ',' && c != close)
            return refuse(s, object ? "',' or '}' was expected" : "',' or ']' was expected");
        s->at++;
        if (c == close)
            return VITX_OK;
    }
}

static int scan_value(scanner *s, int depth)
{
    skip_space(s);
    if (++s->values > s->max_values)
        return vx_fail_in(VITX_FORMAT, s->name, "more than %zu values", s->max_values);
    switch (peek(s)) {
    case '{':
        return scan_members(s, depth, true);
    case '[':
        return scan_members(s, depth, false);
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        return scan_number(s);
    }
}

static int scan_document(scanner *s)
{
    VX_TRY(scan_value(s, 0));
    skip_space(s);
    return s->at == s->end ? VITX_OK : refuse(s, "something after the value");
}

/* -------------------------------------------------------------------------- keys ---------- */

static cJSON *merge(cJSON *a, cJSON *b)
{
    cJSON *first = NULL, **tail = &first;
    while (a && b) {
        cJSON **const smaller = strcmp(b->string, a->string) < 0 ? &b : &a;
        *tail = *smaller;
        tail = &(*tail)->next;
        *smaller = *tail;
    }
    *tail = a ? a : b;
    return first;
}

/* Bottom-up: slot i holds a sorted list of 2^i members or none. */
static cJSON *sort_members(cJSON *list)
{
    cJSON *slots[32] = {NULL};
    while (list) {
        cJSON *one = list;
        list = list->next;
        one->next = NULL;
        int i = 0;
        for (; slots[i] && i < 31; i++) {
            one = merge(slots[i], one);
            slots[i] = NULL;
        }
        slots[i] = slots[i] ? merge(slots[i], one) : one;
    }
    for (int i = 0; i < 32; i++)
        list = list ? slots[i] ? merge(slots[i], list) : list : slots[i];
    return list;
}

static int check_tree(cJSON *node, const char *name)
{
    if (cJSON_IsNumber(node) && !isfinite(node->valuedouble))
        return vx_fail_in(VITX_FORMAT, name, "a number beyond the range of double%s%.100s",
                          node->string ? " at key " : "", node->string ? node->string : "");
    if (cJSON_IsObject(node) && node->child) {
        node->child = sort_members(node->child);
        cJSON *before = NULL;
        for (cJSON *m = node->child; m; before = m, m = m->next) {
            m->prev = before;
            if (before && strcmp(before->string, m->string) == 0)
                return vx_fail_in(VITX_FORMAT, name, "key \"%.100s\" occurs twice", m->string);
        }
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): sorting loses no member */
        node->child->prev = before; /* as cJSON keeps it: the first points to the last */
    }
    if (cJSON_IsObject(node) || cJSON_IsArray(node))
        for (cJSON *m = node->child; m; m = m->next)
            VX_TRY(check_tree(m, name));
    return VITX_OK;
}

int vx_json_parse(vx_json **out, const char *text, size_t bytes, const char *name,
                  size_t max_values)
{
    *out = NULL;
    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
        text += 3;
        bytes -= 3;
    }
    const unsigned char *const start = (const unsigned char *)text;
    scanner s = {start, start + bytes, start, name, 0, max_values};
    VX_TRY(scan_document(&s));
    cJSON *root = cJSON_ParseWithLength(text, bytes);
    if (!root)
        return vx_fail_in(VITX_NOMEM, name, "no memory to parse %zu values", s.values);
    const int status = check_tree(root, name);
    if (status != VITX_OK) {
        cJSON_Delete(root);
        return status;
    }
    *out = root;
    return VITX_OK;
}

void vx_json_free(vx_json *root)
{
    cJSON_Delete(root);
}

/* -------------------------------------------------------------------------- getters ------- */

const vx_json *vx_json_get(const vx_json *object, const char *key)
{
    if (vx_json_is_object(object))
        for (const cJSON *m = object->child; m; m = m->next)
            if (strcmp(m->string, key) == 0)
                return m;
    return NULL;
}

bool vx_json_is_object(const vx_json *node)
{
    return cJSON_IsObject(node);
}

bool vx_json_is_array(const vx_json *node)
{
    return cJSON_IsArray(node);
}

bool vx_json_is_null(const vx_json *node)
{
    return cJSON_IsNull(node);
}

int vx_json_size(const vx_json *node)
{
    int n = 0;
    for (const vx_json *m = vx_json_first(node); m; m = m->next)
        n++;
    return n;
}

const vx_json *vx_json_first(const vx_json *node)
{
    return vx_json_is_object(node) || vx_json_is_array(node) ? node->child : NULL;
}

const vx_json *vx_json_next(const vx_json *node)
{
    return node ? node->next : NULL;
}

const char *vx_json_key(const vx_json *node)
{
    return node ? node->string : NULL;
}

const char *vx_json_string(const vx_json *node)
{
    return cJSON_IsString(node) ? node->valuestring : NULL;
}

bool vx_json_number(const vx_json *node, double *out)
{
    if (!cJSON_IsNumber(node))
        return false;
    *out = node->valuedouble;
    return true;
}

bool vx_json_int(const vx_json *node, int *out)
{
    double v;
    if (!vx_json_number(node, &v) || v < -2147483648.0 || v > 2147483647.0 || v != floor(v))
        return false;
    *out = (int)v;
    return true;
}

bool vx_json_u64(const vx_json *node, uint64_t *out)
{
    double v;
    if (!vx_json_number(node, &v) || v < 0 || v > 9007199254740992.0 || v != floor(v))
        return false;
    *out = (uint64_t)v;
    return true;
}

bool vx_json_bool(const vx_json *node, bool *out)
{
    if (!cJSON_IsBool(node))
        return false;
    *out = cJSON_IsTrue(node);
    return true;
}

/* -------------------------------------------------------------------------- writing ------- */

int vx_json_quote(vx_sink *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t left = strlen(text);
    VX_TRY(vx_sink_put(out, "\"", 1));
    while (left) {
        const size_t n = utf8_character(p, left);
        const char *const escape = *p == '"'    ? "\\\""
                                   : *p == '\\' ? "\\\\"
                                   : *p == '\n' ? "\\n"
                                   : *p == '\r' ? "\\r"
                                   : *p == '\t' ? "\\t"
                                                : NULL;
        if (n == 0)
            VX_TRY(vx_sink_put(out, "\xef\xbf\xbd", 3));
        else if (escape)
            VX_TRY(vx_sink_put(out, escape, 2));
        else if (*p < 0x20 || *p == 0x7f)
            VX_TRY(vx_sink_printf(out, "\\u%04x", *p));
        else
            VX_TRY(vx_sink_put(out, p, n));
        p += n ? n : 1;
        left -= n ? n : 1;
    }
    return vx_sink_put(out, "\"", 1);
}
