/* explain/methods.c: the table of methods, and what it tells of each. */
#include "base/structs.h"
#include "explain/method.h"

#define VX_METHOD(name) extern const vx_method vx_method_##name;
#include "explain/methods.def"
#undef VX_METHOD

static const vx_method *const methods[] = {
#define VX_METHOD(name) &vx_method_##name,
#include "explain/methods.def"
#undef VX_METHOD
};

const vx_method *vx_method_at(int index)
{
    return index >= 0 && index < vitx_method_count() ? methods[index] : NULL;
}

int vitx_method_count(void)
{
    return (int)(sizeof methods / sizeof methods[0]);
}

void vitx_method_info_init(vitx_method_info *out, size_t struct_size)
{
    const vitx_method_info full = VITX_METHOD_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

int vitx_method_get(vitx_method_info *out, int index)
{
    if (!out)
        return vx_fail(VITX_INVALID, "vitx_method_get: out is NULL");
    const vx_method *m = vx_method_at(index);
    if (!m)
        return vx_fail(VITX_INVALID, "method %d: there are %d", index, vitx_method_count());
    const vitx_method_info info = {sizeof info,  m->name,        m->summary,  m->cost,
                                   m->reference, m->uses_target, m->options,  m->option_count,
                                   m->is_signed, m->on_pixels,   m->channels, m->among};
    return VX_STRUCT_WRITE(out, &info, vitx_method_info, option_count);
}
