/* report/write.h: the parts of the file. */
#ifndef VX_REPORT_WRITE_H
#define VX_REPORT_WRITE_H

#include "base/sink.h"
#include "report/report.h"

/* The manifest, as JSON; the blocks have their numbers. */
int vx_report_manifest(vx_sink *out, vitx_report *report);
/* A picture as a reader without scripts sees it. */
int vx_report_still(vx_sink *out, const vitx_report *report, const vx_report_picture *p, int index);

/* The lowest level of the pictures, which are settled. */
vitx_report_level vx_report_lowest(const vitx_report *report);

#endif
