import Glibc

/// Where a tool finds the server it is to talk to, when its command line does not say: the environment first, then a
/// development set-up in the working folder, then where the package installs it.
public enum Places {
  public static func url() -> String { variable("AVALO_URL") ?? "http://127.0.0.1:8480" }

  public static func configFolder() -> String {
    if let folder = variable("AVALO_CONFIG_DIR") { return folder }
    return access("./.avalo/config", F_OK) == 0 ? "./.avalo/config" : "/etc/avalo"
  }

  public static func controlSocket() -> String {
    if let folder = variable("AVALO_RUNTIME_DIR") { return folder + "/control.sock" }
    return access("./.avalo/run", F_OK) == 0 ? "./.avalo/run/control.sock" : "/run/avalo/control.sock"
  }

  public static func stateFolder() -> String {
    if let folder = variable("AVALO_STATE_DIR") { return folder }
    return access("./.avalo/state", F_OK) == 0 ? "./.avalo/state" : "/var/lib/avalo"
  }

  /// `nil` also when it is empty.
  private static func variable(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }
}
