/* cli/reason.h: the library's messages, in the words of the command line. */
#ifndef CLI_REASON_H
#define CLI_REASON_H

/* The message of the library's last failure; a field of the C API that it names is replaced by the
 * option that sets it. Valid until the next call on this thread. */
const char *reason(void);
/* Complains with it. A message that names a file itself stands alone, else behind `what` (NULL:
 * nothing). */
void complain_last(const char *what);
/* The same of a call that gave this code; an exit status. VITX_INVALID is wrong usage, which is
 * said without `what`; of VITX_CANCELLED it is said that the work was stopped. */
int refused(int code, const char *what);
/* "picture: method: why", without the method if `why` begins with it. */
void complain_of(const char *picture, const char *method, const char *why);

#endif
