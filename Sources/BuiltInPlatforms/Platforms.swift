// The platforms with which this program was built.

import HostDevice
public import Platform
import TTNNDevice
public import TTNNSettings

extension PlatformCatalogue {
    /// All platforms in order of preference: `device: auto` uses the first one with a device. That is Tenstorrent
    /// hardware if there is any, else the CPU.
    ///
    /// - Parameter bridge: the `bridge:` section of the configuration.
    public static func all(_ bridge: BridgeConfiguration) -> PlatformCatalogue {
        PlatformCatalogue([TTNNPlatform(bridge), HostPlatform()])
    }
}
