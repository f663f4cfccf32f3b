-- One raw user to one clean one. Times carry no zone and mean UTC.
SELECT
  coalesce(ind, "index") AS ind,
  first_name || ' ' || last_name AS user_name,
  age,
  try_cast(date_joined AS TIMESTAMP(6)) AS date_joined,
  CASE WHEN date_joined IS NOT NULL AND try_cast(date_joined AS TIMESTAMP(6)) IS NULL THEN 'date_joined is not a date and time' END
    AS _quarantine
FROM raw
