/* kernels/plugin.c: see plugin.h. */
#define _GNU_SOURCE /* dl_iterate_phdr, RTLD_NOLOAD */
#include "kernels/plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __ELF__
#include <link.h>
#endif

#ifndef VX_PLUGIN_FILE
#define VX_PLUGIN_FILE "libvitx-cuda.so"
#define VX_PLUGIN_FOLDER ""
#endif

enum { PATH_SIZE = 4096 };

static vx_plugin cuda = {
    .file = VX_PLUGIN_FILE, .folder = VX_PLUGIN_FOLDER, .lock = PTHREAD_MUTEX_INITIALIZER};

/* The file that this code was loaded from. */
typedef struct own {
    char path[PATH_SIZE]; /* "" if no full path is known */
    int seen;             /* objects that were looked at */
    int dynamic;          /* the program has a loader: else dlopen exists in it, but may crash */
} own;

#ifdef __ELF__
static int look_at(struct dl_phdr_info *info, size_t size, void *payload)
{
    own *o = payload;
    const int is_program = o->seen++ == 0;
    int is_own = 0;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        o->dynamic |= is_program && part->p_type == PT_INTERP;
        is_own |= part->p_type == PT_LOAD &&
                  (uintptr_t)&cuda - (info->dlpi_addr + part->p_vaddr) < part->p_memsz;
    }
    if (!is_own)
        return 0;
    /* What a program is called is up to its caller; where its file lies is not. */
    const ssize_t length = is_program ? readlink("/proc/self/exe", o->path, sizeof o->path - 1)
                                      : snprintf(o->path, sizeof o->path, "%s", info->dlpi_name);
    if (length <= 0 || (size_t)length >= sizeof o->path || o->path[0] != '/')
        o->path[0] = '\0';
    return 1;
}

static void find_own(own *o)
{
    dl_iterate_phdr(look_at, o);
}
#else
static void find_own(own *o)
{
    o->dynamic = 1;
}
#endif

static const vx_device_class *open_file(vx_plugin *plugin, const char *path, char *why,
                                        size_t why_size)
{
    vx_plugin_entry *entry;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *text = dlerror();
        const size_t length = strlen(path);
        if (text && strncmp(text, path, length) == 0 && strncmp(text + length, ": ", 2) == 0)
            text += length + 2;
        snprintf(why, why_size, "%s cannot be loaded: %s", path, text ? text : "no reason given");
        return NULL;
    }
    void *symbol = dlsym(library, VX_PLUGIN_SYMBOL);
    memcpy(&entry, &symbol, sizeof entry);
    const vx_device_class *cls = entry ? entry(vx_plugin_abi()) : NULL;
    if (!cls)
        snprintf(why, why_size,
                 entry ? "%s belongs to another version of vitx" : "%s is no plug-in of vitx",
                 path);
    if (cls)
        plugin->library = library;
    return cls;
}

static const vx_device_class *search(vx_plugin *plugin, const char *own_path, char *why,
                                     size_t why_size)
{
    static const char *const beside[] = {"", "vitx/", "../lib/vitx/"};
    enum { BESIDE = sizeof beside / sizeof beside[0] };
    char path[PATH_SIZE + 64];
    const char *end = strrchr(own_path, '/');
    for (int i = 0; i <= BESIDE; i++) {
        int length;
        if (i < BESIDE)
            length = snprintf(path, sizeof path, "%.*s%s%s", end ? (int)(end + 1 - own_path) : 0,
                              own_path, beside[i], plugin->file);
        else
            length = snprintf(path, sizeof path, "%s/%s", plugin->folder, plugin->file);
        if (path[0] == '/' && length < (int)sizeof path && access(path, F_OK) == 0)
            return open_file(plugin, path, why, why_size);
    }
    snprintf(why, why_size, "%s not found beside the library or in %s", plugin->file,
             plugin->folder);
    return NULL;
}

/* With the lock held. */
static const vx_device_class *load(vx_plugin *plugin, const char *path, char *why, size_t why_size)
{
    own o = {.path = ""};
    if (plugin->cls && (!path || dlopen(path, RTLD_NOW | RTLD_NOLOAD) == plugin->library))
        return plugin->cls;
    if (plugin->cls) {
        snprintf(why, why_size, "another plug-in than %s is in use", path);
        return NULL;
    }
    find_own(&o);
    if (!o.dynamic) {
        snprintf(why, why_size, "a static program loads no %s", plugin->file);
        return NULL;
    }
    plugin->cls =
        path ? open_file(plugin, path, why, why_size) : search(plugin, o.path, why, why_size);
    return plugin->cls;
}

const vx_device_class *vx_plugin_load(vx_plugin *plugin, const char *path, char *why,
                                      size_t why_size)
{
    pthread_mutex_lock(&plugin->lock);
    const vx_device_class *cls = load(plugin, path, why, why_size);
    pthread_mutex_unlock(&plugin->lock);
    return cls;
}

const vx_device_class *vx_plugin_load_cuda(const char *path, char *why, size_t why_size)
{
    return vx_plugin_load(&cuda, path, why, why_size);
}

static const vx_device_class *load_cuda(char *why, size_t why_size)
{
    return vx_plugin_load(&cuda, NULL, why, why_size);
}

/* The row of devices.def. */
extern const vx_device_class vx_device_cuda;
const vx_device_class vx_device_cuda = {.name = "cuda", .load = load_cuda};
