// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Status codes, their names, and errors of the system that come closest (Base Specification 2.0, section 3.3.3.2.1). */
#include <errno.h>

#include <vfn/nvme/util.h>

#define NR_TYPES 8

/* Commands share the codes up to 7Fh, each command set has its own up to BFh. */
static const char *const generic[] = {
	[0x00] = "Successful Completion",
	[0x01] = "Invalid Command Opcode",
	[0x02] = "Invalid Field in Command",
	[0x03] = "Command ID Conflict",
	[0x04] = "Data Transfer Error",
	[0x05] = "Commands Aborted due to Power Loss Notification",
	[0x06] = "Internal Error",
	[0x07] = "Command Abort Requested",
	[0x08] = "Command Aborted due to SQ Deletion",
	[0x09] = "Command Aborted due to Failed Fused Command",
	[0x0a] = "Command Aborted due to Missing Fused Command",
	[0x0b] = "Invalid Namespace or Format",
	[0x0c] = "Command Sequence Error",
	[0x0d] = "Invalid SGL Segment Descriptor",
	[0x0e] = "Invalid Number of SGL Descriptors",
	[0x0f] = "Data SGL Length Invalid",
	[0x10] = "Metadata SGL Length Invalid",
	[0x11] = "SGL Descriptor Type Invalid",
	[0x12] = "Invalid Use of Controller Memory Buffer",
	[0x13] = "PRP Offset Invalid",
	[0x14] = "Atomic Write Unit Exceeded",
	[0x15] = "Operation Denied",
	[0x16] = "SGL Offset Invalid",
	[0x18] = "Host Identifier Inconsistent Format",
	[0x19] = "Keep Alive Timer Expired",
	[0x1a] = "Keep Alive Timeout Invalid",
	[0x1b] = "Command Aborted due to Preempt and Abort",
	[0x1c] = "Sanitize Failed",
	[0x1d] = "Sanitize In Progress",
	[0x1e] = "SGL Data Block Granularity Invalid",
	[0x1f] = "Command Not Supported for Queue in CMB",
	[0x20] = "Namespace is Write Protected",
	[0x21] = "Command Interrupted",
	[0x22] = "Transient Transport Error",
	[0x23] = "Command Prohibited by Command and Feature Lockdown",
	[0x24] = "Admin Command Media Not Ready",
	[0x80] = "LBA Out of Range",
	[0x81] = "Capacity Exceeded",
	[0x82] = "Namespace Not Ready",
	[0x83] = "Reservation Conflict",
	[0x84] = "Format In Progress",
	[0x85] = "Invalid Value Size",
	[0x86] = "Invalid Key Size",
	[0x87] = "KV Key Does Not Exist",
	[0x88] = "Unrecovered Error",
	[0x89] = "Key Exists",
};

static const char *const specific[] = {
	[0x00] = "Completion Queue Invalid",
	[0x01] = "Invalid Queue Identifier",
	[0x02] = "Invalid Queue Size",
	[0x03] = "Abort Command Limit Exceeded",
	[0x05] = "Asynchronous Event Request Limit Exceeded",
	[0x06] = "Invalid Firmware Slot",
	[0x07] = "Invalid Firmware Image",
	[0x08] = "Invalid Interrupt Vector",
	[0x09] = "Invalid Log Page",
	[0x0a] = "Invalid Format",
	[0x0b] = "Firmware Activation Requires Conventional Reset",
	[0x0c] = "Invalid Queue Deletion",
	[0x0d] = "Feature Identifier Not Saveable",
	[0x0e] = "Feature Not Changeable",
	[0x0f] = "Feature Not Namespace Specific",
	[0x10] = "Firmware Activation Requires NVM Subsystem Reset",
	[0x11] = "Firmware Activation Requires Controller Level Reset",
	[0x12] = "Firmware Activation Requires Maximum Time Violation",
	[0x13] = "Firmware Activation Prohibited",
	[0x14] = "Overlapping Range",
	[0x15] = "Namespace Insufficient Capacity",
	[0x16] = "Namespace Identifier Unavailable",
	[0x18] = "Namespace Already Attached",
	[0x19] = "Namespace Is Private",
	[0x1a] = "Namespace Not Attached",
	[0x1b] = "Thin Provisioning Not Supported",
	[0x1c] = "Controller List Invalid",
	[0x1d] = "Device Self-test In Progress",
	[0x1e] = "Boot Partition Write Prohibited",
	[0x1f] = "Invalid Controller Identifier",
	[0x20] = "Invalid Secondary Controller State",
	[0x21] = "Invalid Number of Controller Resources",
	[0x22] = "Invalid Resource Identifier",
	[0x23] = "Sanitize Prohibited While Persistent Memory Region is Enabled",
	[0x24] = "ANA Group Identifier Invalid",
	[0x25] = "ANA Attach Failed",
	[0x26] = "Insufficient Capacity",
	[0x27] = "Namespace Attachment Limit Exceeded",
	[0x28] = "Prohibition of Command Execution Not Supported",
	[0x29] = "I/O Command Set Not Supported",
	[0x2a] = "I/O Command Set Not Enabled",
	[0x2b] = "I/O Command Set Combination Rejected",
	[0x2c] = "Invalid I/O Command Set",
	[0x2d] = "Identifier Unavailable",
	[0x80] = "Conflicting Attributes",
	[0x81] = "Invalid Protection Information",
	[0x82] = "Attempted Write to Read Only Range",
	[0x83] = "Command Size Limit Exceeded",
	[0xb8] = "Zone Boundary Error",
	[0xb9] = "Zone Is Full",
	[0xba] = "Zone Is Read Only",
	[0xbb] = "Zone Is Offline",
	[0xbc] = "Zone Invalid Write",
	[0xbd] = "Too Many Active Zones",
	[0xbe] = "Too Many Open Zones",
	[0xbf] = "Invalid Zone State Transition",
};

static const char *const media[] = {
	[0x80] = "Write Fault",
	[0x81] = "Unrecovered Read Error",
	[0x82] = "End-to-end Guard Check Error",
	[0x83] = "End-to-end Application Tag Check Error",
	[0x84] = "End-to-end Reference Tag Check Error",
	[0x85] = "Compare Failure",
	[0x86] = "Access Denied",
	[0x87] = "Deallocated or Unwritten Logical Block",
	[0x88] = "End-to-end Storage Tag Check Error",
};

static const char *const path[] = {
	[0x00] = "Internal Path Error",
	[0x01] = "Asymmetric Access Persistent Loss",
	[0x02] = "Asymmetric Access Inaccessible",
	[0x03] = "Asymmetric Access Transition",
	[0x60] = "Controller Pathing Error",
	[0x70] = "Host Pathing Error",
	[0x71] = "Command Aborted By Host",
};

#define TABLE(names) \
	{ \
		names, sizeof(names) / sizeof(names[0]) \
	}

static const struct {
	const char *const *names;
	unsigned int count;
} types[NR_TYPES] = { TABLE(generic), TABLE(specific), TABLE(media), TABLE(path) };

const char *vfn_nvme_status_text(uint16_t status)
{
	unsigned int type = status >> 8 & 7, code = status & 0xff;

	if (code < types[type].count && types[type].names[code])
		return types[type].names[code];

	return type == 7 || code >= 0xc0 ? "Vendor Specific" : "Reserved";
}

/* Ranges of type and code. */
static const struct {
	uint16_t first, last;
	int err;
} errnos[] = {
	{ 0x001, 0x001, ENOTSUP },   { 0x002, 0x003, EINVAL }, { 0x005, 0x005, ECANCELED },
	{ 0x007, 0x00a, ECANCELED }, { 0x00b, 0x00b, ENODEV }, { 0x00c, 0x014, EINVAL },
	{ 0x015, 0x015, EACCES },    { 0x016, 0x016, EINVAL }, { 0x018, 0x018, EINVAL },
	{ 0x019, 0x019, ETIMEDOUT }, { 0x01a, 0x01a, EINVAL }, { 0x01b, 0x01b, ECANCELED },
	{ 0x01d, 0x01d, EBUSY },     { 0x01e, 0x01e, EINVAL }, { 0x01f, 0x01f, ENOTSUP },
	{ 0x020, 0x020, EROFS },     { 0x021, 0x022, EAGAIN }, { 0x023, 0x023, EACCES },
	{ 0x024, 0x024, EBUSY },     { 0x080, 0x080, EINVAL }, { 0x081, 0x081, ENOSPC },
	{ 0x082, 0x084, EBUSY },     { 0x100, 0x102, EINVAL }, { 0x103, 0x103, EBUSY },
	{ 0x105, 0x105, EBUSY },     { 0x108, 0x10a, EINVAL }, { 0x10c, 0x10c, EINVAL },
	{ 0x115, 0x115, ENOSPC },    { 0x11d, 0x11d, EBUSY },  { 0x126, 0x126, ENOSPC },
	{ 0x180, 0x181, EINVAL },    { 0x182, 0x182, EROFS },  { 0x183, 0x183, EINVAL },
	{ 0x1b8, 0x1b8, EINVAL },    { 0x1b9, 0x1b9, ENOSPC }, { 0x1ba, 0x1ba, EROFS },
	{ 0x1bc, 0x1bc, EINVAL },    { 0x1bd, 0x1be, EBUSY },  { 0x1bf, 0x1bf, EINVAL },
	{ 0x282, 0x284, EILSEQ },    { 0x286, 0x286, EACCES }, { 0x288, 0x288, EILSEQ },
	{ 0x371, 0x371, ECANCELED }, { 0x370, 0x370, ENODEV },
};

int vfn_nvme_status_errno(uint16_t status)
{
	unsigned int code = status & 0x7ff;

	for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++)
		if (code >= errnos[i].first && code <= errnos[i].last)
			return errnos[i].err;

	return code ? EIO : 0;
}
