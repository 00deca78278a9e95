"""The outbox's statements. Whatever varies is a parameter."""

INSERT = """
    INSERT INTO alerts (scope, unit, period, start_s, at_per_mille, end_s, "limit", settled, zone, actions,
        crossed_at_us, is_passed, title, body, acked_at_us, acked_by)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', NULL, '')
"""

INSERT_NOTICE = """
    INSERT INTO alerts (kind, scope, unit, period, start_s, end_s, at_per_mille, "limit", settled, zone,
        actions, crossed_at_us, is_passed, title, body, acked_at_us, acked_by)
    VALUES (?, ?, '', ?, ?, ?, 0, 0, 0, '', '', ?, 0, ?, ?, NULL, '')
"""

TOLD = """
    SELECT 1 FROM alerts
    WHERE scope = ? AND unit = '' AND period = ? AND start_s > ? AND start_s < ? AND kind = ? LIMIT 1
"""

ADDRESS = """
    INSERT INTO deliveries (alert_id, notifier, outcome, error, due_at_us, ended_at_us, attempts,
        leased_until_us)
    VALUES (?, ?, ?, ?, ?, ?, 0, 0)
"""

KNOWN = "SELECT at_per_mille FROM alerts WHERE scope = ? AND unit = ? AND period = ? AND start_s = ?"

FIND = """
    SELECT id FROM alerts WHERE scope = ? AND unit = ? AND period = ? AND start_s = ? AND at_per_mille = ?
"""

NEWEST = "SELECT id FROM alerts WHERE kind = 'budget' ORDER BY id DESC LIMIT ?"

NEWEST_OF_ALL = "SELECT id FROM alerts ORDER BY id DESC LIMIT ?"

ALERT = "SELECT * FROM alerts WHERE id = ?"

DELIVERIES = """
    SELECT notifier, outcome, attempts, error, ended_at_us FROM deliveries WHERE alert_id = ?
    ORDER BY notifier
"""

DUE = """
    SELECT DISTINCT notifier FROM deliveries
    WHERE outcome = 'pending' AND due_at_us <= ? AND leased_until_us <= ?
"""

OLDEST_DUE = """
    SELECT alert_id FROM deliveries
    WHERE outcome = 'pending' AND due_at_us <= ? AND leased_until_us <= ? AND notifier = ?
    ORDER BY due_at_us, alert_id LIMIT 1
"""

LEASE = """
    UPDATE deliveries SET leased_until_us = ?, attempts = attempts + 1 WHERE alert_id = ? AND notifier = ?
"""

RENEW = "UPDATE deliveries SET leased_until_us = ? WHERE alert_id = ? AND notifier = ?"

WRITE = "UPDATE alerts SET title = ?, body = ? WHERE id = ?"

DELIVERED = """
    UPDATE deliveries SET outcome = 'delivered', error = '', ended_at_us = ?, leased_until_us = 0
    WHERE alert_id = ? AND notifier = ?
"""

FAILED = """
    UPDATE deliveries SET outcome = 'failed', error = ?, ended_at_us = ?, leased_until_us = 0
    WHERE alert_id = ? AND notifier = ? AND outcome = 'pending'
"""

POSTPONED = """
    UPDATE deliveries SET error = ?, due_at_us = ?, leased_until_us = 0
    WHERE alert_id = ? AND notifier = ? AND outcome = 'pending'
"""

ACKNOWLEDGE = "UPDATE alerts SET acked_at_us = ?, acked_by = ? WHERE id = ? AND acked_at_us IS NULL"

END_PENDING = """
    UPDATE deliveries SET outcome = 'acknowledged', ended_at_us = ?
    WHERE alert_id = ? AND outcome = 'pending'
"""

OLD = """
    SELECT id FROM alerts WHERE end_s < ? AND NOT EXISTS
        (SELECT 1 FROM deliveries WHERE alert_id = id AND outcome = 'pending')
"""

FORGET_DELIVERIES = "DELETE FROM deliveries WHERE alert_id = ?"

FORGET = "DELETE FROM alerts WHERE id = ?"
