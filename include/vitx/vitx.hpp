/*
 * vitx/vitx.hpp: vitx for C++11: handles that free themselves, failures as exceptions.
 *
 *     vitx::model model("deit_tiny/");
 *     vitx::context context(model);
 *     vitx::image image("cat.jpg");
 *     std::vector<vitx_prediction> top = context.classify(image, 5);
 *
 *     vitx_explain_opts opts = vitx::explain_opts("rollout", top[0].index);
 *     context.explain(image, opts).render(&image, "cat.overlay.png");
 *
 * A thin layer over the C headers. The C headers say what everything means. Link only libvitx.
 * Handles can be moved, not copied. get() gives the C handle, for functions of the C headers. Every
 * C function that fails by a status has a method or a function here; those that only give a name
 * (vitx_status_name(), vitx_colormap_name() ..) are as good in C++ as they are. A model stays
 * alive until its last context is freed, like in C. Thread rules are those of the C functions.
 *
 * Members of the structs that are returned here:
 *     vitx_prediction   index (-1: none), logit, probability, label (may be null;
 *                       vitx::label() is not)
 *     vitx_map_info     method, target, logit, probability, shape[0..rank-1], is_signed ..:
 *                       vitx/explain.h
 *     vitx_view         data, dtype, rank, shape[4], stride[4] (in elements): vitx/base.h
 *     vitx_model_info   family, depth, width, heads, classes, units ..: vitx/model.h
 *     vitx_context_info device, threads, input_height, input_width ..: vitx/context.h
 */
#ifndef VITX_VITX_HPP
#define VITX_VITX_HPP

#include <vitx/report.hpp>

#endif
