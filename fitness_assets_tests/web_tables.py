"""CSV tables as vendors write them, small, for tests: each kind in one ZIP archive."""

SAMSUNG = "samsunghealth_anna_20241101120000/"

TABLES: dict[str, dict[str, str]] = {
    "google_fit": {
        "Takeout/Fit/Daily activity metrics/2024-10-26.csv": "Start time,End time,Step count\n00:00:00.000+02:00,,5\n",
        "Takeout/Fit/Daily activity metrics/Daily activity metrics.csv": (
            "Date,Move Minutes count,Calories (kcal),Distance (m),Heart Points,Heart Minutes,Average heart rate (bpm),"
            "Max heart rate (bpm),Min heart rate (bpm),Step count,Average weight (kg),Sleep duration (ms)\n"
            "2024-10-26,64,2310.5,5900,17,21,72,132,51,8000,68.4,25560000\n"
            "2024-10-27,,1650.25,,,,,,,,,\n"  # a day without the phone
            "2024-10-28,30,1900,2100,,,0,,,3000,,\n"
        ),
    },
    "garmin_web": {
        "Steps.csv": "\ufeff,Actual,Goal\n10/30/2024,8000,7500\n10/31/2024,0,7500\n11/01/2024,9100,7500\n",
        "Sleep.csv": (
            "Sleep Score 4 Weeks,Score,Resting Heart Rate,Quality,Duration,Sleep Need,Bedtime,Wake Time\n"
            "2024-10-30,88,53,Good,7h 55min,8h 0min,11:10 PM,7:30 AM\n"
            '"Oct 31, 2024",76,--,Fair,5h,9h 0min,1:31 AM,6:40 AM\n'
            "Nov 1,76,52,Fair,5h 8min,9h 0min,12:31 AM,6:04 AM\n2024-11-02,--,--,--,--,--,--,--\n"
        ),
        "Weight.csv": (
            "Time,Weight,Change,BMI,Body Fat,Skeletal Muscle Mass,Bone Mass,Body Water,\n"
            '" Oct 31, 2024",\n9:46 PM,80.5 kg,0.5 kg,25.1,18.5 %,35.0 kg,3.5 kg,60.5 %,\n'
            '12:40 AM,81.0 kg,0.3 kg,25.2,--,--,--,--,\n" 30 Oct 2024",\n17:08,"178,5 lbs",--,--,--,--,--,--,\n'
        ),
    },
    "samsung_health": {
        f"{SAMSUNG}com.samsung.shealth.step_daily_trend.20241101120000.csv": (
            "\ufeffcom.samsung.shealth.step_daily_trend,6260050,4\n"
            "update_time,create_time,source_type,count,distance,calorie,deviceuuid,day_time,\n"
            "2024-10-28 01:00:00.000,2024-10-27 00:00:00.000,-2,8000,5600.0,240.0,a,1729987200000,\n"
            "2024-10-28 01:00:00.000,2024-10-27 00:00:00.000,0,5000,3500.0,150.0,b,1729987200000,\n"
            "2024-10-29 01:00:00.000,2024-10-28 00:00:00.000,-2,6100,4200.0,180.0,a,2024-10-28 00:00:00.000,\n"
        ),
        f"{SAMSUNG}com.samsung.shealth.sleep.20241101120000.csv": (
            "com.samsung.shealth.sleep,7006003,11\ncom.samsung.health.sleep.start_time,com.samsung.health.sleep.comment,"
            "com.samsung.health.sleep.end_time,com.samsung.health.sleep.time_offset,com.samsung.health.sleep.datauuid,"
            "efficiency\n"
            "2024-10-26 21:30:00.000,,2024-10-27 06:00:00.000,UTC+0100,night-1,90,\n"
            "2024-10-27 22:30:00.000,late, again, and tired,2024-10-28 05:30:00.000,UTC+0100,night-2,0,\n"
        ),
        f"{SAMSUNG}com.samsung.health.sleep_stage.20241101120000.csv": (
            "com.samsung.health.sleep_stage,7006003,6\nstart_time,end_time,stage,sleep_id,time_offset,\n"
            "2024-10-26 21:30:00.000,2024-10-27 00:30:00.000,40002,night-1,UTC+0100,\n"
            "2024-10-27 00:30:00.000,2024-10-27 01:00:00.000,40001,night-1,UTC+0100,\n"
            "2024-10-27 01:00:00.000,2024-10-27 06:00:00.000,40003,night-1,UTC+0100,\n"
            "2024-10-27 06:00:00.000,2024-10-27 06:10:00.000,49999,night-1,UTC+0100,\n"
        ),
        f"{SAMSUNG}com.samsung.shealth.tracker.heart_rate.20241101120000.csv": (
            "com.samsung.shealth.tracker.heart_rate,6305010,4\n"
            "com.samsung.health.heart_rate.heart_rate,com.samsung.health.heart_rate.start_time,"
            "com.samsung.health.heart_rate.time_offset\n"
            "70.0,2024-10-27 23:30:00.000,UTC+0100,\n0.0,2024-10-28 10:00:00.000,UTC+0100,\n"
            "90.0,2024-10-28 18:00:00.000,,\n"
        ),
        f"{SAMSUNG}com.samsung.health.weight.20241101120000.csv": (
            "com.samsung.health.weight,6305010,2\nweight,height,start_time,time_offset,\n"
            "71.2,168.0,2024-10-28 05:30:00.000,UTC+0100,\n60.0,,1970-01-01 00:00:00.000,UTC+0000,\n"
        ),
        f"{SAMSUNG}com.samsung.shealth.stress.20241101120000.csv": (
            "com.samsung.shealth.stress,6305010,2\nstart_time,score,time_offset,\n"
            "2024-10-28 10:00:00.000,31.0,UTC+0100,\n"
        ),
        f"{SAMSUNG}com.samsung.shealth.exercise.20241101120000.csv": "com.samsung.shealth.exercise,1,1\nduration,\n5\n",
    },
    "withings": {
        "weight.csv": (
            'Date,"Weight (lb)","Fat mass (lb)","Bone mass (lb)","Muscle mass (lb)","Hydration (lb)",Comments\n'
            '"2024-10-27 20:10:00","156,2",33.5,6.4,110.5,79.4,\n"2024-10-27 07:10:00",158.0,33.5,6.4,110.5,79.4,\n'
            '"2024-10-28 07:05:00",0,,,,,\n'
        ),
        "aggregates_steps.csv": "date,value\n2024-10-27,8000\n2024-10-28,-1\n",
        "aggregates_calories_earned.csv": "date,value\n2024-10-27,410.5\n",
        "aggregates_calories_passive.csv": "date,value\n2024-10-27,1650\n",
        "aggregates_distance.csv": "date,value\n2024-10-27,5600\n",
        "sleep.csv": (
            "from,to,light (s),deep (s),rem (s),awake (s),wake up\n"
            "2024-10-26T23:30:00+02:00,2024-10-27T07:00:00+01:00,15000,6000,5400,1200,2\n"
            "2024-10-27T23:30:00,2024-10-28T07:00:00,15000,6000,5400,1200,2\n"
        ),
    },
    "oura": {
        "App Data/dailyactivity.csv": (
            "id;day;score;active_calories;steps;high_activity_time;medium_activity_time;total_calories;contributors\n"
            'a1;2024-10-27;80;420;8000;600;1800;2400;{"stay_active":90,"met;goal":1}\n'
            'a2;2024-10-28;80;420;8000;600;1800;2400;{"stay_active":90}\n'
            "a3;2024-10-29;;0;0;0;0;1600;{}\n"
        ),
        "App Data/sleepmodel.csv": (
            "id;day;bedtime_start;bedtime_end;total_sleep_duration;deep_sleep_duration;rem_sleep_duration;"
            "light_sleep_duration;awake_time;lowest_heart_rate;average_heart_rate;type;heart_rate\n"
            "s1;2024-10-27;2024-10-26T22:40:00.000+02:00;2024-10-27T06:40:00.000+01:00;25200;4800;5400;15000;3000;52;"
            '58.5;long_sleep;{"interval":300,"items":[60,58,null]}\n'
            "s2;2024-10-27;2024-10-27T14:00:00.000+01:00;2024-10-27T14:40:00.000+01:00;1800;0;0;1800;600;60;64;late_nap;\n"
            "s3;2024-10-27;2024-10-27T20:00:00.000+01:00;2024-10-27T21:40:00.000+01:00;3600;0;0;3600;0;60;64;deleted;\n"
            "s4;2024-10-28;2024-10-28T02:00:00.000+01:00;2024-10-28T02:30:00.000+01:00;0;0;0;0;1800;;;sleep;{}\n"
        ),
        "App Data/heartrate.csv": (
            "timestamp;bpm;source\n2024-10-27T23:30:00.000Z;61;rest\n2024-10-27T23:30:00.000+01:00;75;awake\n"
            "yesterday;75;awake\n2024-10-27T23:35:00.000Z;0;rest\n"
        ),
        "App Data/dailyreadiness.csv": "id;day;resting_heart_rate\nr1;2024-10-27;92\n",
    },
}
"""By kind, the files of an archive."""
