// The system's files with information about cards; tests use other paths.

/// Paths that discovery reads. Only text files under them are opened.
public struct SystemPaths: Sendable {
    /// The driver's device nodes, one for each card.
    public var deviceNodes = "/dev/tenstorrent"
    /// sysfs.
    public var sysfs = "/sys"
    /// procfs.
    public var processes = "/proc"
    /// hwloc's description of the machine as XML, instead of the machine itself.
    public var topologyXML: String?

    /// The paths of this machine.
    public init() {}
}
