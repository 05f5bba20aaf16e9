/* base/cpus.h: how many processors this process may use. */
#ifndef VX_BASE_CPUS_H
#define VX_BASE_CPUS_H

/*
 * The processors that the process may be scheduled on (its affinity), or as many as its CPU quota
 * pays for if those are fewer. At least 1.
 */
int vx_cpu_count(void);

/*
 * The quota of the control group that the process is in, or of one above it, in whole processors:
 * the smallest, rounded up. 0 if there is none. Both kinds of groups are read, version 1
 * (cpu.cfs_quota_us, cpu.cfs_period_us) and version 2 (cpu.max). What is missing, unreadable or
 * makes no sense is no quota.
 *
 * root: "" for the machine itself; a test gives a folder that holds proc/self/cgroup,
 * proc/self/mountinfo and the groups.
 */
int vx_cpu_quota(const char *root);

#endif
