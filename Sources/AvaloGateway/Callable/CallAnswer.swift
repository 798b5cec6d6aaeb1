import AvaloCore

/// The JSON of a call's end, the same on both carriers but for what stands around it.
public enum CallAnswer {
  /// Writes the member `result` or `error` into an open object.
  public static func write(_ result: Result<[UInt8], CallError>, to json: inout JSONWriter) {
    switch result {
    case .success(let text):
      json.key("result")
      json.raw(text)
    case .failure(let error):
      json.key("error")
      write(error, to: &json)
    }
  }

  /// `{"status": …, "message": …, "details": …}`
  public static func write(_ error: CallError, to json: inout JSONWriter) {
    json.object {
      $0.member("status", error.code.wireName)
      $0.member("message", error.message)
      guard error.hasDetails else { return }
      $0.key("details")
      $0.object {
        if let retryAfter = error.retryAfterMilliseconds { $0.member("retryAfterMs", retryAfter) }
        if let eventID = error.eventID { $0.member("eventId", eventID) }
        if let ending = error.ending {
          $0.member("code", ending.code)
          $0.member("reason", ending.reason)
        }
        guard let exceeded = error.exceeded else { return }
        $0.key("limit")
        $0.object {
          $0.member("name", exceeded.limit.wireName)
          $0.member("max", exceeded.max)
        }
      }
    }
  }
}

extension CallError {
  fileprivate var hasDetails: Bool {
    retryAfterMilliseconds != nil || eventID != nil || exceeded != nil || ending != nil
  }
}
