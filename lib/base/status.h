/* base/status.h: how a failure is reported: a code that travels up, a line that stays where it was
 * seen. Callers pass a code on untouched; nobody overwrites the message on the way. */
#ifndef VX_BASE_STATUS_H
#define VX_BASE_STATUS_H

#include <vitx/base.h>

/* Sets the thread's message (printf style; of more than 511 bytes the middle is left out, control
 * characters are shown as '?') and returns `code`. */
int vx_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For a message about a file, or about a picture in memory: it becomes "named: ...". A format that
 * begins with a blank follows the name without the colon. The name is what
 * vitx_last_error_subject() gives. */
int vx_fail_in(int code, const char *named, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* For a message about one member of an options struct: `name` is a literal, the member's name, and
 * stands in the message word for word. It is what vitx_last_error_field() gives. */
int vx_fail_field(int code, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Both: a message about a file that a member of an options struct would change. */
int vx_fail_field_in(int code, const char *named, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The thread's message, to be put back after calls that may fail and whose caller does not. */
typedef struct vx_message {
    char text[512];
    char subject[4097];
    const char *field;
} vx_message;
void vx_message_keep(vx_message *out);
void vx_message_put_back(const vx_message *kept);

#ifdef __clang_analyzer__ /* it sees one file at a time: what a function that fails returns */
#define vx_fail(code, ...) ((void)vx_fail(code, __VA_ARGS__), (code))
#define vx_fail_in(code, ...) ((void)vx_fail_in(code, __VA_ARGS__), (code))
#define vx_fail_field(code, ...) ((void)vx_fail_field(code, __VA_ARGS__), (code))
#define vx_fail_field_in(code, ...) ((void)vx_fail_field_in(code, __VA_ARGS__), (code))
#endif

/* Returns from the calling function when `expr` is not VITX_OK. */
#define VX_TRY(expr)                                                                               \
    do {                                                                                           \
        const int vx_status_ = (expr);                                                             \
        if (vx_status_ != VITX_OK)                                                                 \
            return vx_status_;                                                                     \
    } while (0)

#endif
