// Memory of the host device: page-aligned, zeroed, and in huge pages if it is large.

import CHostKernels
import Glibc

/// A fixed array of `count` elements outside Swift's heap, zeroed.
///
/// The system provides a page when it is first written, so that a large KV cache takes only the memory that is used;
/// `takePages` takes pages at once.
final class DeviceBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    /// The first element, aligned to a page.
    let base: UnsafeMutablePointer<Element>
    /// Number of elements.
    let count: Int
    private let byteCount: Int

    /// Memory for `count` elements.
    ///
    /// - Throws: `HostDeviceError.outOfMemory` if the system has no more memory.
    init(count: Int) throws(HostDeviceError) {
        self.count = count
        let (size, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        guard !overflow else { throw .outOfMemory(bytes: Int.max, reason: String(cString: strerror(ENOMEM))) }
        byteCount = max(size, 1) + hk_guard_bytes()
        let start = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let start, start != MAP_FAILED else {
            throw .outOfMemory(bytes: byteCount, reason: String(cString: strerror(errno)))
        }
        if byteCount >= 4 << 20 { madvise(start, byteCount, MADV_HUGEPAGE) }
        hk_guard(start + size, byteCount - size)
        base = start.bindMemory(to: Element.self, capacity: count)
    }

    deinit {
        hk_unguard(base, byteCount)
        munmap(base, byteCount)
    }

    /// Makes the system provide the pages of elements `part` now, without changing their contents. Where it cannot
    /// (Linux before 5.14), they are provided when they are first written.
    func takePages(_ part: Range<Int>) {
        guard !part.isEmpty else { return }
        let page = sysconf(Int32(_SC_PAGESIZE)), stride = MemoryLayout<Element>.stride
        let (first, end) = (part.lowerBound * stride / page * page, part.upperBound * stride)
        madvise(UnsafeMutableRawPointer(base) + first, end - first, MADV_POPULATE_WRITE)
    }
}
