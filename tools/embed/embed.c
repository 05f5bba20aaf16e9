/*
 * tools/embed/embed.c: puts the pages into C. `make` builds and runs it.
 *
 *      embed OUT.c page.html STYLE.css... SCRIPT.js...
 *
 * The report page. Comments of the style sheets and the scripts that have their lines to
 * themselves stay behind. The style sheets become one, and so do the scripts. page.html is cut in
 * two at its line "<!-- stills -->". The parts are compressed by zlib; the policy of the page holds
 * the SHA-256 of the script and of the style sheet, in base64, so that a browser runs just these
 * bytes (lib/report/page.h).
 *
 *      embed --gallery OUT.c page.html STYLE.css... SCRIPT.js...
 *
 * The gallery of vitx-cli batch: a whole document with its policy in it, cut in two at its line
 * "<!-- run -->". The policy also allows scripts from where the page lies, which hold its data
 * (tools/cli/batch/gallery_sheet.h).
 *
 *      embed --page NAME OUT.c page.html STYLE.css... SCRIPT.js...
 *      embed --file NAME OUT.c FILE
 *
 * The start page of vitx-cli serve, whole: the style sheets and the scripts stand where page.html
 * has the lines "<!-- style -->" and "<!-- script -->", as in the gallery. A file as it is. Both
 * become a struct embedded (tools/cli/serve/pages.h).
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

/* also: further sources of scripts, each with a blank before it; rest: the other directives. */
static struct bytes policy_of(const struct bytes *script, const struct bytes *css, const char *also,
                              const char *rest)
{
    struct bytes policy = {0};
    append(&policy, "default-src 'none'; script-src ", 31);
    put_hash(&policy, script);
    append(&policy, also, strlen(also));
    append(&policy, "; style-src ", 12);
    put_hash(&policy, css);
    append(&policy, rest, strlen(rest));
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

/* Style sheets and scripts, each kind one after the other. */
static void read_parts(struct bytes *css, struct bytes *script, char **paths, int count)
{
    static const char *const in_script[] = {"</script", "<script", "<!--", NULL};
    static const char *const in_style[] = {"</style", "<!--", NULL};
    for (int i = 0; i < count; i++) {
        const char *ending = strrchr(paths[i], '.');
        append_file(ending && strcmp(ending, ".css") == 0 ? css : script, paths[i]);
    }
    drop_comments(css);
    drop_comments(script);
    check(script, in_script);
    check(css, in_style);
}

static FILE *begin_file(const char *path, const char *folder, const char *header)
{
    FILE *out = fopen(path, "wb");
    if (!out)
        stop("%s cannot be written", path);
    fprintf(out, "/* Made by tools/embed from %s. */\n#include \"%s\"\n\n", folder, header);
    return out;
}

static void put_bytes(FILE *out, const char *name, const char *data, size_t size)
{
    fprintf(out, "%s[] = {", name);
    for (size_t i = 0; i < size; i++)
        fprintf(out, "%s%d,", i % 24 ? "" : "\n    ", (unsigned char)data[i]);
}

static void end_file(FILE *out, const char *path)
{
    if (fclose(out) != 0)
        stop("%s cannot be written", path);
}

/* ------------------------------------------------------------------ whole pages ------------ */

/* What stands before the marker's line, with the part in its element; *html: what stands behind. */
static void put_element(struct bytes *to, const char **html, const char *element,
                        const struct bytes *part)
{
    char marker[32];
    snprintf(marker, sizeof marker, "<!-- %s -->\n", element);
    const char *at = strstr(*html, marker);
    if (!at)
        stop("the page has no line for its %s", element);
    append(to, *html, (size_t)(at - *html));
    append(to, "<", 1);
    append(to, element, strlen(element));
    append(to, ">", 1);
    append(to, part->data, part->size);
    append(to, "</", 2);
    append(to, element, strlen(element));
    append(to, ">\n", 2);
    *html = at + strlen(marker);
}

/* ------------------------------------------------------------------ of the gallery --------- */

/* The marker's line in the page, which is cut there: what stands before it, *html behind it. */
static struct bytes cut_at(const char **html, const char *marker)
{
    struct bytes before = {0};
    const char *at = strstr(*html, marker);
    if (!at)
        stop("the page has no line %s", marker);
    append(&before, *html, (size_t)(at - *html));
    *html = at + strlen(marker);
    return before;
}

static void embed_gallery(const char *path, char **parts, int count)
{
    struct bytes html = {0}, css = {0}, script = {0}, page = {0};
    append_file(&html, parts[0]);
    read_parts(&css, &script, parts + 1, count - 1);
    const struct bytes policy = policy_of(
        &script, &css, " 'self' file:", "; img-src data:; base-uri 'none'; form-action 'none'");
    const char *rest = html.data;
    page = cut_at(&rest, "<!-- policy -->\n");
    static const char before[] = "<meta http-equiv=\"Content-Security-Policy\" content=\"";
    append(&page, before, strlen(before));
    append(&page, policy.data, policy.size);
    append(&page, "\">\n", 3);
    put_element(&page, &rest, "style", &css);
    const char *run = rest;
    const struct bytes middle = cut_at(&run, "<!-- run -->");
    append(&page, middle.data, middle.size);
    struct bytes bottom = {0};
    put_element(&bottom, &run, "script", &script);
    append(&bottom, run, strlen(run));
    FILE *out = begin_file(path, "tools/cli/batch/gallery/", "tools/cli/batch/gallery_page.h");
    put_bytes(out, "const unsigned char gallery_page_top", page.data, page.size);
    fprintf(out, "0};\n");
    put_bytes(out, "const unsigned char gallery_page_bottom", bottom.data, bottom.size);
    fprintf(out, "0};\n");
    end_file(out, path);
}

/* ------------------------------------------------------------------ of the server ---------- */

static void write_embedded(const char *path, const char *name, const struct bytes *bytes,
                           const char *policy)
{
    FILE *out = begin_file(path, "tools/cli/serve/page/", "tools/cli/serve/pages.h");
    put_bytes(out, "static const unsigned char bytes", bytes->data, bytes->size);
    fprintf(out, "0};\n\nconst struct embedded %s = {(const char *)bytes, %zu, \"%s\"};\n", name,
            bytes->size, policy);
    end_file(out, path);
}

static void embed_page(const char *name, const char *path, char **parts, int count)
{
    struct bytes html = {0}, css = {0}, script = {0}, page = {0};
    append_file(&html, parts[0]);
    read_parts(&css, &script, parts + 1, count - 1);
    const char *rest = html.data;
    put_element(&page, &rest, "style", &css);
    put_element(&page, &rest, "script", &script);
    append(&page, rest, strlen(rest));
    const struct bytes policy =
        policy_of(&script, &css, "",
                  "; img-src blob: data:; connect-src 'self'; form-action 'self'; "
                  "frame-src 'self'; base-uri 'none'; frame-ancestors 'none'");
    write_embedded(path, name, &page, policy.data);
}

static void embed_file(const char *name, const char *path, const char *file)
{
    struct bytes bytes = {0};
    append_file(&bytes, file);
    write_embedded(path, name, &bytes, "");
}

/* ------------------------------------------------------------------ of the report ---------- */

static void embed_report(const char *path, char **parts, int count)
{
    struct bytes html = {0}, css = {0}, script = {0}, all = {0};
    append_file(&html, parts[0]);
    read_parts(&css, &script, parts + 1, count - 1);
    char *marker = html.data ? strstr(html.data, MARKER) : NULL;
    if (!marker)
        stop("%s has no line <!-- stills -->", parts[0]);
    const size_t top = (size_t)(marker - html.data), bottom = html.size - top - strlen(MARKER);
    append(&all, html.data, top);
    append(&all, css.data, css.size);
    append(&all, marker + strlen(MARKER), bottom);
    append(&all, script.data, script.size);
    const struct bytes packed = compress_all(&all);
    const struct bytes policy =
        policy_of(&script, &css, "", "; img-src data:; base-uri 'none'; form-action 'none'");
    FILE *out = begin_file(path, "lib/report/page/", "report/page.h");
    put_bytes(out, "static const unsigned char packed", packed.data, packed.size);
    fprintf(out,
            "\n};\n\nconst vx_page_data vx_page_embedded = {\n    packed, sizeof packed, %zu, %zu, "
            "%zu, %zu,\n    \"%s\"};\n",
            top, css.size, bottom, script.size, policy.data);
    end_file(out, path);
}

int main(int argc, char **argv)
{
    if (argc >= 7 && strcmp(argv[1], "--page") == 0)
        embed_page(argv[2], argv[3], argv + 4, argc - 4);
    else if (argc == 5 && strcmp(argv[1], "--file") == 0)
        embed_file(argv[2], argv[3], argv[4]);
    else if (argc >= 6 && strcmp(argv[1], "--gallery") == 0)
        embed_gallery(argv[2], argv + 3, argc - 3);
    else if (argc >= 5 && argv[1][0] != '-')
        embed_report(argv[1], argv + 2, argc - 2);
    else
        stop("%s", "usage: embed OUT.c page.html STYLE.css... SCRIPT.js...");
    return 0;
}
