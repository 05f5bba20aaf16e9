/*
 * vitx/base.h: what every other header of vitx uses.
 *
 * Status codes and their message, the hooks for a program's own allocator and log, and the version.
 * Rules that hold for the whole library:
 *
 *  - A function that can fail returns an int: VITX_OK (0) or one of the negative codes below.
 *    Outputs come first; on failure a handle output is set to NULL and other outputs are not
 *    changed, unless the function says otherwise.
 *  - NULL for a required argument is VITX_INVALID; functions that return a value return 0 or NULL.
 *  - The message of a failure is one line that names what is wrong (the file, the tensor, the
 *    expected and the found shape). Each thread has its own message: see vitx_last_error().
 *  - `_free` releases a handle that vitx made. NULL is allowed. Strings and views that a function
 *    returns belong to the handle they came from and live as long as that handle.
 *  - An option or info struct begins with its own size. Start from its _INIT macro or, if a macro
 *    cannot be used, from its _init function. NULL for options means all defaults.
 *  - Such structs grow at their end only. A program keeps working with a newer library: options
 *    that its headers did not have take their defaults. Information that its structs have no room
 *    for is not written. A struct larger than the library knows is VITX_INVALID. Other public
 *    structs are final.
 *  - vitx never prints, exits, aborts, reads or writes environment variables, installs signal
 *    handlers, or changes the locale, the floating-point mode or any other state of the process.
 */
#ifndef VITX_BASE_H
#define VITX_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define VITX_API __attribute__((visibility("default")))
#else
#define VITX_API
#endif

/* An option or info struct with its size set and all else zero; in C++, a value (C++11). */
#ifdef __cplusplus
#define VITX_SIZED(type) \
    [] { type sized_ = type(); sized_.struct_size = sizeof(type); return sized_; }()
#else
#define VITX_SIZED(type) { .struct_size = sizeof(type) }
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Version of these headers; compare with vitx_version() to find a mismatched library. */
#define VITX_VERSION_MAJOR 0
#define VITX_VERSION_MINOR 1
#define VITX_VERSION_PATCH 0
#define VITX_VERSION "0.1.0"

/** @return the version of the library that is running, "MAJOR.MINOR.PATCH". Static; any thread. */
VITX_API const char *vitx_version(void);

/** What a fallible function returns. */
typedef enum vitx_status {
    VITX_OK = 0,
    VITX_INVALID = -1,     /**< an argument or option is wrong: the caller can correct this     */
    VITX_NOMEM = -2,       /**< an allocation failed, or a stated budget would be exceeded      */
    VITX_IO = -3,          /**< a file cannot be opened, read or written                        */
    VITX_FORMAT = -4,      /**< a file is not what it claims to be, or is damaged               */
    VITX_UNSUPPORTED = -5, /**< well-formed, but nothing vitx can run (dtype, family, method)   */
    VITX_DEVICE = -6,      /**< the device failed or is not present                             */
    VITX_CANCELLED = -7,   /**< the progress callback asked to stop                             */
    VITX_BUSY = -8         /**< another call is running on the context: on another thread, or the
                                call whose progress callback made this call                     */
} vitx_status;

/** @return the name of a status, like "format"; "unknown" for other numbers. Static; any thread. */
VITX_API const char *vitx_status_name(int status);

/**
 * The message of the last call of this thread that failed.
 *
 * @return one line without a newline; "" before the first failure. Successful calls do not change
 *         the message. The string stays valid until the next failure on the same thread.
 */
VITX_API const char *vitx_last_error(void);

/**
 * The file that the last error message is about, for programs that put their own names before a
 * message.
 *
 * @return the file or folder (or the name given to a picture in memory) at the start of the
 *         message, complete and exactly as the caller wrote that name. NULL if the message is about
 *         no file. The string stays valid until the next failure on the same thread.
 */
VITX_API const char *vitx_last_error_subject(void);

/**
 * The option that the last error message is about, for programs that have their own name for an
 * option.
 *
 * @return the member of an options struct that the caller can change, like "memory_budget". The
 *         message contains this word; its last occurrence there means the member. NULL if the
 *         message is about no single member. Static.
 */
VITX_API const char *vitx_last_error_field(void);

/** How much a log message matters. */
typedef enum vitx_log_level {
    VITX_LOG_DEBUG = 0,  /**< choices made: kernels, layouts, sizes                              */
    VITX_LOG_INFO = 1,   /**< what a user may want to know                                       */
    VITX_LOG_WARNING = 2 /**< the work goes on, but something should be checked                  */
} vitx_log_level;

/**
 * Functions of the program that vitx uses. Every member may be NULL.
 *
 * Set both `alloc` and `release` or neither (then malloc and free are used). `alloc` returns memory
 * aligned like malloc's, or NULL. `release` never gets NULL. Both may be called from any thread
 * that calls vitx. `log` receives one line without a newline, on the caller's thread. The struct is
 * copied; `payload` must outlive every handle made with it.
 *
 * Other libraries allocate some memory without the hooks: the JSON parser while a configuration is
 * read, zlib while a PNG is written or a truncated PNG is read, and OpenBLAS for its work buffers.
 */
typedef struct vitx_hooks {
    size_t struct_size;
    void *(*alloc)(size_t bytes, void *payload);
    void (*release)(void *memory, void *payload);
    void (*log)(vitx_log_level level, const char *message, void *payload);
    void *payload;
} vitx_hooks;

#define VITX_HOOKS_INIT { sizeof(vitx_hooks), NULL, NULL, NULL, NULL }
/**
 * Fills `out` with VITX_HOOKS_INIT, for languages that cannot use the macro. struct_size is the
 * size of the struct in the caller's own declaration: no more bytes are written. All _init
 * functions of vitx work like this one.
 */
VITX_API void vitx_hooks_init(vitx_hooks *out, size_t struct_size);

/**
 * Receives output piece by piece; `payload` is the caller's.
 *
 * @return 0 to go on; anything else stops the output with VITX_IO
 */
typedef int vitx_writer(const void *data, size_t bytes, void *payload);

/** Element type of a tensor view. */
typedef enum vitx_dtype {
    VITX_F32 = 0, /**< IEEE single                    */
    VITX_F16 = 1  /**< IEEE half, as raw uint16_t     */
} vitx_dtype;

/**
 * Describes memory that belongs to a handle. No copy is made and nothing has to be freed. Element
 * (i0, i1, ...) is at index i0*stride[0] + i1*stride[1] + ... of `data`.
 */
typedef struct vitx_view {
    const void *data;  /**< host memory                                   */
    vitx_dtype dtype;
    int rank;          /**< 1 to 4                                        */
    int64_t shape[4];  /**< elements; entries from `rank` on are 1        */
    int64_t stride[4]; /**< in elements, not bytes                        */
} vitx_view;

#ifdef __cplusplus
}
#endif
#endif
