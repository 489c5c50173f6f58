/* Numbers and meanings: NVIDIA, "XID Errors" (docs.nvidia.com/deploy/xid-errors), in words of ours.
 */
#include "base/slice.h"
#include "source/gpu/gpu.h"

static const struct {
    uint64_t number;
    const char *meaning;
} meanings[] = {
    {8, "a channel did not answer in time"},
    {13, "exception of the graphics engine: mostly a fault of the program"},
    {31, "a program used memory that is not its own"},
    {32, "broken commands came over the bus"},
    {38, "fault of the driver's firmware"},
    {43, "a program's work was stopped; the GPU goes on"},
    {45, "a program's work was taken off the GPU, mostly after another error"},
    {48, "memory error that could not be corrected (double-bit ECC)"},
    {56, "fault of the display engine"},
    {57, "fault while programming video memory"},
    {61, "the GPU's microcontroller stopped at a breakpoint"},
    {62, "the GPU's microcontroller halted"},
    {63, "a bad part of memory was marked for replacement"},
    {64, "a bad part of memory could not be marked for replacement"},
    {68, "fault of the video decoder"},
    {69, "exception of the graphics class engine"},
    {74, "fault of an NVLink connection"},
    {79, "the GPU has fallen off the bus: it cannot be reached"},
    {80, "corrupted data was sent to the GPU"},
    {92, "many memory errors were corrected"},
    {94, "memory error, contained to one program"},
    {95, "memory error that could not be contained: reset the GPU"},
    {109, "a context switch did not end in time"},
    {119, "the GPU's system processor did not answer in time"},
    {120, "fault of the GPU's system processor"},
    {121, "fault of the chip-to-chip link, corrected"},
    {140, "memory error that the driver could not recover"},
    {143, "the GPU could not be initialised"},
    {154, "the GPU needs the recovery action that its state names"},
};

const char *xid_meaning(uint64_t xid)
{
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        if (meanings[i].number == xid)
            return meanings[i].meaning;
    }
    return "see NVIDIA's list of XID errors";
}

bool xid_is_of_program(uint64_t xid)
{
    return xid == 13 || xid == 31 || xid == 43 || xid == 45;
}
