/*
 * tools/embed/embed.c: puts the pages into C. `make` builds and runs it.
 *
 *      embed OUT.c page.html STYLE.css... SCRIPT.js...               the report page
 *      embed --gallery OUT.c page.html STYLE.css... SCRIPT.js...     the gallery of vitx-cli batch
 *
 * Comments of the style sheets and the scripts that have their lines to themselves stay behind.
 * The style sheets become one, and so do the scripts. page.html is cut in two at its line
 * "<!-- stills -->". The parts are compressed by zlib; the policy of the page holds the SHA-256 of
 * the script and of the style sheet, in base64, so that a browser runs just these bytes
 * (lib/report/page.h).
 *
 * The gallery is a whole document, whose markers are replaced, and which is cut in two at
 * "<!-- run -->". It is not compressed. Its policy also allows scripts from where the page lies,
 * which hold its data (tools/cli/batch/gallery_sheet.h).
 */
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <nettle/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define MARKER "<!-- stills -->\n"

struct bytes {
    char *data;
    size_t size;
};

static void stop(const char *format, const char *what)
{
    fprintf(stderr, "embed: ");
    fprintf(stderr, format, what);
    fprintf(stderr, "\n");
    exit(1);
}

static void append(struct bytes *to, const char *data, size_t size)
{
    to->data = realloc(to->data, to->size + size + 1);
    if (!to->data)
        stop("%s", "no memory");
    memcpy(to->data + to->size, data, size);
    to->size += size;
    to->data[to->size] = '\0';
}

static void append_file(struct bytes *to, const char *path)
{
    char piece[4096];
    FILE *file = fopen(path, "rb");
    if (!file)
        stop("%s cannot be opened", path);
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        append(to, piece, n);
    if (ferror(file))
        stop("%s cannot be read", path);
    fclose(file);
}

/* Where the comment that begins at `line` (after blanks) has its end, behind the newline; NULL if
 * none begins there, or if something follows it on its last line. */
static char *comment_end(char *line)
{
    char *at = line + strspn(line, " ");
    if (strncmp(at, "/*", 2) != 0 || !(at = strstr(at, "*/")))
        return NULL;
    return at[2] == '\n' ? at + 3 : NULL;
}

static void drop_comments(struct bytes *part)
{
    char *to = part->data;
    for (char *line = part->data; line && *line;) {
        char *end = comment_end(line);
        if (!end) {
            char *next = strchr(line, '\n');
            const size_t n = next ? (size_t)(next - line) + 1 : strlen(line);
            memmove(to, line, n);
            to += n;
            end = line + n;
        }
        line = end;
    }
    part->size = to ? (size_t)(to - part->data) : 0;
    if (to)
        *to = '\0';
}

/* Inside an element of script or style these would end it, or change what ends it. */
static void check(const struct bytes *part, const char *const *forbidden)
{
    if (!part->data || strlen(part->data) != part->size)
        stop("%s", "an empty part, or one with a zero byte");
    for (; *forbidden; forbidden++)
        if (strstr(part->data, *forbidden))
            stop("a part of the page holds \"%s\"", *forbidden);
}

static void put_hash(struct bytes *to, const struct bytes *part)
{
    struct sha256_ctx hash;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char text[BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) + 1] = "";
    sha256_init(&hash);
    sha256_update(&hash, part->size, (const uint8_t *)part->data);
#if NETTLE_VERSION_MAJOR >= 4
    sha256_digest(&hash, digest);
#else
    sha256_digest(&hash, sizeof digest, digest);
#endif
    base64_encode_raw(text, sizeof digest, digest);
    append(to, "'sha256-", 8);
    append(to, text, strlen(text));
    append(to, "'", 1);
}

/* also: further sources of scripts, each with a blank before it. */
static struct bytes policy_of(const struct bytes *script, const struct bytes *css, const char *also)
{
    static const char rest[] = "; img-src data:; base-uri 'none'; form-action 'none'";
    struct bytes policy = {0};
    append(&policy, "default-src 'none'; script-src ", 31);
    put_hash(&policy, script);
    append(&policy, also, strlen(also));
    append(&policy, "; style-src ", 12);
    put_hash(&policy, css);
    append(&policy, rest, sizeof rest - 1);
    return policy;
}

static struct bytes compress_all(const struct bytes *all)
{
    uLongf size = compressBound((uLong)all->size);
    struct bytes packed = {malloc(size), 0};
    if (!packed.data || compress2((Bytef *)packed.data, &size, (const Bytef *)all->data,
                                  (uLong)all->size, 9) != Z_OK)
        stop("%s", "zlib does not compress");
    packed.size = size;
    return packed;
}

/* The files of the command line, without comments. */
static void read_parts(struct bytes *html, struct bytes *css, struct bytes *script, char **files)
{
    static const char *const in_script[] = {"</script", "<script", "<!--", NULL};
    static const char *const in_style[] = {"</style", "<!--", NULL};
    append_file(html, *files++);
    for (; *files; files++) {
        const char *ending = strrchr(*files, '.');
        append_file(ending && strcmp(ending, ".css") == 0 ? css : script, *files);
    }
    drop_comments(css);
    drop_comments(script);
    check(script, in_script);
    check(css, in_style);
}

/* Where `marker` is in the page, which must have it once. */
static size_t marker_at(const struct bytes *html, const char *marker)
{
    const char *at = html->data ? strstr(html->data, marker) : NULL;
    if (!at || strstr(at + 1, marker))
        stop("the page must have one line %s", marker);
    return (size_t)(at - html->data);
}

static FILE *open_out(const char *path, const char *from, const char *header)
{
    FILE *out = fopen(path, "wb");
    if (!out)
        stop("%s cannot be written", path);
    fprintf(out, "/* Made by tools/embed from %s. */\n#include \"%s\"\n\n", from, header);
    return out;
}

static void put_bytes(FILE *out, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        fprintf(out, "%s%d,", i % 24 ? "" : "\n    ", (unsigned char)data[i]);
}

static void write_report(const char *path, char **files)
{
    struct bytes html = {0}, css = {0}, script = {0}, all = {0};
    read_parts(&html, &css, &script, files);
    const size_t top = marker_at(&html, MARKER), bottom = html.size - top - strlen(MARKER);
    append(&all, html.data, top);
    append(&all, css.data, css.size);
    append(&all, html.data + top + strlen(MARKER), bottom);
    append(&all, script.data, script.size);
    const struct bytes policy = policy_of(&script, &css, ""), packed = compress_all(&all);

    FILE *out = open_out(path, "lib/report/page/", "report/page.h");
    fprintf(out, "static const unsigned char packed[] = {");
    put_bytes(out, packed.data, packed.size);
    fprintf(out,
            "\n};\n\nconst vx_page_data vx_page_embedded = {\n    packed, sizeof packed, %zu, %zu, "
            "%zu, %zu,\n    \"%s\"};\n",
            top, css.size, bottom, script.size, policy.data);
    if (fclose(out) != 0)
        stop("%s cannot be written", path);
}

/* ------------------------------------------------------------------ the gallery ------------ */

/* The marker with an element around `part` in its place. */
static void replace(struct bytes *html, const char *marker, const char *before,
                    const struct bytes *part, const char *after)
{
    const size_t at = marker_at(html, marker);
    struct bytes whole = {0};
    append(&whole, html->data, at);
    append(&whole, before, strlen(before));
    append(&whole, part->data, part->size);
    append(&whole, after, strlen(after));
    append(&whole, html->data + at + strlen(marker), html->size - at - strlen(marker));
    *html = whole;
}

static void put_text(FILE *out, const char *name, const char *data, size_t size)
{
    fprintf(out, "const unsigned char gallery_page_%s[] = {", name);
    put_bytes(out, data, size);
    fprintf(out, "0};\n");
}

static void write_gallery(const char *path, char **files)
{
    static const char run[] = "<!-- run -->";
    struct bytes html = {0}, css = {0}, script = {0};
    read_parts(&html, &css, &script, files);
    const struct bytes policy = policy_of(&script, &css, " 'self' file:");
    replace(&html, "<!-- policy -->", "<meta http-equiv=\"Content-Security-Policy\" content=\"",
            &policy, "\">");
    replace(&html, "<!-- style -->", "<style>", &css, "</style>");
    replace(&html, "<!-- script -->", "<script>", &script, "</script>");
    const size_t top = marker_at(&html, run), rest = top + strlen(run);
    FILE *out = open_out(path, "tools/cli/batch/gallery/", "tools/cli/batch/gallery_page.h");
    put_text(out, "top", html.data, top);
    put_text(out, "bottom", html.data + rest, html.size - rest);
    if (fclose(out) != 0)
        stop("%s cannot be written", path);
}

int main(int argc, char **argv)
{
    const int first = argc > 1 && strcmp(argv[1], "--gallery") == 0 ? 2 : 1;
    if (argc < first + 4)
        stop("%s", "usage: embed [--gallery] OUT.c page.html STYLE.css... SCRIPT.js...");
    if (first == 2)
        write_gallery(argv[first], argv + first + 1);
    else
        write_report(argv[first], argv + first + 1);
    return 0;
}
