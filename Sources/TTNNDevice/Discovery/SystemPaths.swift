// Where the system tells about cards; tests have their own.

/// The places that are looked at; nothing in them is opened for more than reading text.
public struct SystemPaths: Sendable {
    /// The driver's device nodes, one for each card.
    public var deviceNodes = "/dev/tenstorrent"
    /// sysfs.
    public var sysfs = "/sys"
    /// procfs.
    public var processes = "/proc"
    /// hwloc's description of the machine as XML, instead of the machine itself.
    public var topologyXML: String?

    /// This machine's.
    public init() {}
}
